"""Ten turns of one clip and one question each: the model card's way and the app's, side by side.

`python -m benchmarks.conversation --shape 100m` prints a table and, last, one line of JSON; with
`--plot FILE` it draws both ways' time to first token by turn. Each turn is answered first the one
way, then the other, on the same words so far, and the tokens must be the same.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.generation.streamers import BaseStreamer

from benchmarks.shapes import SHAPES, build
from demo.decoding import Pieces
from demo.engine import Conversation, EngineInfo, Options
from demo.local import LocalEngine

RATE = 16_000
QUESTION = "What do you hear in this clip?"


@dataclass(frozen=True)
class Measured:
    """One reply: its tokens, and when each of them was there, in seconds from the request."""

    ids: list[int]
    times: list[float]

    @property
    def first(self) -> float:
        return self.times[0]

    @property
    def per_token(self) -> float:
        return (self.times[-1] - self.times[0]) / max(1, len(self.times) - 1)


class Clock(BaseStreamer):
    """Notes when each token of the model card's way is there."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.times: list[float] = []
        self.ids: list[int] = []
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        if self._prompt_seen:
            self.ids += value.flatten().tolist()
            self.times.append(time.perf_counter() - self.start)
        self._prompt_seen = True

    def end(self) -> None: ...


def card_way(
    model: Any, processor: Any, turns: Conversation, clips: list[np.ndarray], new: int
) -> Measured:
    """The model card's few lines, with today's keyword and the whole batch on the device."""
    clock = Clock()
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    sound = {"audio": clips, "sampling_rate": RATE} if clips else {}
    inputs = processor(text=text, **sound, return_tensors="pt")
    inputs = inputs.to(model.device, model.dtype)
    model.generate(**inputs, max_new_tokens=new, do_sample=False, streamer=clock)
    return Measured(clock.ids, clock.times)


def app_way(
    engine: LocalEngine, turns: Conversation, clips: list[np.ndarray], new: int
) -> Measured:
    """The app's engine, its tokens noted where they become text."""
    with noted() as (ids, times):
        start = time.perf_counter()
        for _ in engine.stream(turns, clips, Options(max_new_tokens=new, temperature=0.0)):
            pass
    return Measured(ids, [at - start for at in times])


@contextmanager
def noted() -> Iterator[tuple[list[int], list[float]]]:
    """The tokens that an engine draws, and when."""
    ids: list[int] = []
    times: list[float] = []
    add = Pieces.add

    def noting(self: Pieces, token: int) -> None:
        ids.append(token)
        times.append(time.perf_counter())
        add(self, token)

    Pieces.add = noting
    try:
        yield ids, times
    finally:
        Pieces.add = add


def converse(
    model: Any, processor: Any, turns: int, seconds: float, new: int
) -> Iterator[tuple[Measured, Measured]]:
    """Each turn both ways; the conversation goes on with the reply, which must be the same."""
    model.generation_config.eos_token_id = None  # every reply has its full length
    rng = np.random.default_rng(0)
    info = EngineInfo("benchmark", str(model.device), str(model.dtype), 8192, False, greedy(new))
    conversation: Conversation = []
    clips: list[np.ndarray] = []
    with closing(LocalEngine(model, processor, info)) as engine:
        for _ in range(turns):
            clips.append(rng.normal(0, 0.1, int(seconds * RATE)).astype(np.float32))
            parts = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": QUESTION}]
            conversation.append({"role": "user", "content": parts})
            card = card_way(model, processor, conversation, clips, new)
            app = app_way(engine, conversation, clips, new)
            yield card, app
            reply = processor.tokenizer.decode(app.ids, skip_special_tokens=True)
            conversation.append({"role": "assistant", "content": reply})


def greedy(new: int) -> Options:
    return Options(new, temperature=0.0, top_p=1.0, top_k=50, repetition_penalty=1.0)


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
        "machine": machine(options.device),
        "threads": torch.get_num_threads(),
        "first_token_turn_1": ratios[0],
        "first_token_last_turn": ratios[-1],
        "first_token_growth": measured[-1][1].first / measured[min(1, len(measured) - 1)][1].first,
        "time_per_token": float(np.median(decode)),
        "tokens_equal": all(card.ids == app.ids for card, app in measured),
        "turns": [{"card": asdict(card), "app": asdict(app)} for card, app in measured],
    }


def machine(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


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
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    model, processor = build(options.shape, options.device, getattr(torch, options.dtype))
    print("turn  card TTFT  app TTFT   ratio  card tok/s  app tok/s  equal")
    measured: list[tuple[Measured, Measured]] = []
    for card, app in converse(model, processor, options.turns, options.seconds, options.tokens):
        measured.append((card, app))
        print(row(len(measured), card, app), flush=True)
    if options.plot:
        plot(measured, options.plot)
    result = summary(measured, options)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
