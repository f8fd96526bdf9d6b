"""Ten turns of one clip and one question each: the model card's way and the app's, side by side.

`python -m benchmarks.conversation --shape 100m` prints a table and, last, one line of JSON; with
`--plot FILE` it draws both ways' time to first token by turn. Each turn is answered first the one
way, then the other, on the same words so far, and the tokens must be the same.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from benchmarks import memory
from benchmarks.shapes import SHAPES, build
from benchmarks.talking import (
    Measured,
    app_way,
    as_loaded,
    card_way,
    conversation_of,
    engine_of,
    greedy,
    machine,
    speak_words,
)
from demo.local import LocalEngine

TYPING_SECONDS = 2.0  # from the upload to send


def converse(
    model: Any, processor: Any, options: argparse.Namespace
) -> Iterator[tuple[Measured, Measured]]:
    """Each turn both ways; the conversation goes on with the reply, which must be the same."""
    replies: list[str] = []
    with closing(_engine(model, processor, options)) as engine:
        warm(engine, model, processor, options)
        for _ in range(options.turns):
            turns, clips = conversation_of(replies, options.seconds)
            card = card_way(model, processor, turns, clips, options.tokens)
            app = app_way(engine, turns, clips, options.tokens)
            yield card, app
            replies.append(processor.tokenizer.decode(app.ids, skip_special_tokens=True))


def _engine(model: Any, processor: Any, options: argparse.Namespace) -> LocalEngine:
    return engine_of(as_loaded(model), processor, options.tokens, options.compile)


def warm(engine: LocalEngine, model: Any, processor: Any, options: argparse.Namespace) -> None:
    """A short reply each way to a clip that does not come again: kernels are read and chosen."""
    turns, clips = conversation_of([], options.seconds / 2)
    card_way(model, processor, turns, clips, 4)
    app_way(engine, turns, clips, 4)


def ahead(model: Any, processor: Any, options: argparse.Namespace) -> Measured:
    """The first turn, its clip there for a while before its question is sent."""
    turns, clips = conversation_of([], options.seconds)
    waiting = [{**turns[0], "content": turns[0]["content"][:1]}]
    with closing(_engine(model, processor, options)) as engine:
        engine.prepare(waiting, clips)
        time.sleep(TYPING_SECONDS)
        return app_way(engine, turns, clips, options.tokens)


def stopped(
    model: Any, processor: Any, replies: list[str], options: argparse.Namespace
) -> dict[str, float]:
    """Seconds from stop to idle: in the prefill of the whole conversation, and in its reply."""
    turns, clips = conversation_of(replies, options.seconds)
    found = {}
    with closing(_engine(model, processor, options)) as engine:
        for moment in ("prefill", "reply"):
            stream = cast(Any, engine.stream(turns, clips, greedy(options.tokens)))
            next(stream)
            while moment == "reply" and not next(stream):
                pass
            start = time.perf_counter()
            stream.close()
            engine.idle.wait()
            found[moment] = time.perf_counter() - start
    return found


def row(turn: int, card: Measured, app: Measured) -> str:
    return (
        f"{turn:>4}  {card.first:>9.3f}  {app.first:>8.3f}  {app.first / card.first:>6.3f}  "
        f"{1 / card.per_token:>9.1f}  {1 / app.per_token:>8.1f}  {card.ids == app.ids}"
    )


def summary(
    measured: list[tuple[Measured, Measured]], options: argparse.Namespace
) -> dict[str, Any]:
    """What the run comes to, as ratios to the model card's way."""
    ratios = [app.first / card.first for card, app in measured]
    decode = [app.per_token / card.per_token for card, app in measured]
    return {
        "shape": options.shape,
        "dtype": options.dtype,
        "device": options.device,
        "compile": options.compile,
        "machine": machine(options.device),
        "threads": torch.get_num_threads(),
        "first_token_turn_1": ratios[0],
        "first_token_last_turn": ratios[-1],
        "first_token_growth": measured[-1][1].first / measured[min(1, len(measured) - 1)][1].first,
        "time_per_token": float(np.median(decode)),
        "tokens_equal": all(card.ids == app.ids for card, app in measured),
        "turns": [{"card": asdict(card), "app": asdict(app)} for card, app in measured],
    }


def peaks(replies: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Peak memory over the weights, each way in a process of its own; empty where none can tell."""
    if not memory.available():
        return {}
    card, app = (memory.peak_over_weights(way, replies, options) for way in ("card", "app"))
    print(f"peak memory over the weights: {card / 1e6:.0f} MB, {app / 1e6:.0f} MB")
    return {"peak_bytes": {"card": card, "app": app}, "peak_memory": app / card}


def plot(measured: list[tuple[Measured, Measured]], file: Path) -> None:
    import matplotlib.pyplot as plt

    turns = range(1, len(measured) + 1)
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    axes.plot(turns, [card.first for card, _ in measured], "o-", label="the model card's way")
    axes.plot(turns, [app.first for _, app in measured], "o-", label="this app")
    axes.set(xlabel="turn", ylabel="time to first token, s", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversation", description=__doc__)
    parser.add_argument("--shape", choices=["preview", *SHAPES], default="100m")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    parser.add_argument("--tokens", type=int, default=32, help="of each reply")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", choices=["auto", "on", "off"], default="auto")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    model, processor = build(options.shape, options.device, getattr(torch, options.dtype))
    speak_words(model, processor.tokenizer)
    print("turn  card TTFT  app TTFT   ratio  card tok/s  app tok/s  equal")
    measured: list[tuple[Measured, Measured]] = []
    for card, app in converse(model, processor, options):
        measured.append((card, app))
        print(row(len(measured), card, app), flush=True)
    replies = [processor.tokenizer.decode(app.ids, skip_special_tokens=True) for _, app in measured]
    early = ahead(model, processor, options)
    result = summary(measured, options) | {
        "first_token_ahead": early.first / measured[0][0].first,
        "ahead_tokens_equal": early.ids == measured[0][0].ids,
        "stop_to_idle": stopped(model, processor, replies[:-1], options),
    }
    print({name: value for name, value in result.items() if name != "turns"})
    result |= peaks(replies[:-1], options)
    if options.plot:
        plot(measured, options.plot)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
