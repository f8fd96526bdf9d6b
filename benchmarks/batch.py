"""Clips a second, many at once against one after another, and which batch is fastest.

`python -m benchmarks.batch` prints a table and, last, one line of JSON. The clips are noise of
different lengths; each way answers all of them with the same engine. The fastest size on the CPU
is what `demo.batching.FASTEST` has.
"""

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.shapes import SHAPES, build
from benchmarks.talking import QUESTION, RATE, engine_of, greedy, machine
from demo.engine import Item
from demo.local import LocalEngine

SIZES = (2, 4, 8, 16, 32)
ASKED = [{"role": "user", "content": [{"type": "audio", "audio_url": "clip"},
                                      {"type": "text", "text": QUESTION}]}]  # fmt: skip


def items_of(rows: int, seconds: float) -> list[Item]:
    """`rows` clips of noise, none longer than `seconds` and none shorter than a fifth of it."""
    rng = np.random.default_rng(0)
    lengths = rng.uniform(seconds / 5, seconds, rows)
    drawn = (rng.normal(0, 0.1, int(length * RATE)) for length in lengths)
    return [Item(ASKED, [clip.astype(np.float32)]) for clip in drawn]


def one_by_one(engine: LocalEngine, items: Sequence[Item], new: int) -> list[str]:
    return ["".join(engine.stream(ASKED, item.windows, greedy(new))) for item in items]


def together(engine: LocalEngine, items: Sequence[Item], new: int, size: int) -> list[str]:
    """The replies in batches of `size`, in the order of `items`."""
    answers = filter(None, engine.batch(items, greedy(new), size))
    return [one.text for one in sorted(answers, key=lambda one: one.place)]


def measure(engine: LocalEngine, items: Sequence[Item], options: argparse.Namespace) -> Any:
    """By batch size, 1 being one after another: clips a second, and whether the replies agree."""
    warm = [Item(ASKED, [np.zeros(RATE, np.float32)])] * 2
    one_by_one(engine, warm, 2)
    together(engine, warm, 2, 2)
    found: dict[int, dict[str, Any]] = {}
    expected: list[str] = []
    for size in (1, *options.sizes):
        begun = time.perf_counter()
        replies = (
            one_by_one(engine, items, options.tokens)
            if size == 1
            else together(engine, items, options.tokens, size)
        )
        rate = len(items) / (time.perf_counter() - begun)
        expected = expected or replies
        same = sum(map(str.__eq__, replies, expected))
        found[size] = {"rate": rate, "ratio": rate / found.get(1, {"rate": rate})["rate"],
                       "equal": same}  # fmt: skip
        print(f"{size:>5} {rate:>9.2f} {found[size]['ratio']:>7.2f} {same:>6}", flush=True)
    return found


def plot(found: dict[int, dict[str, Any]], file: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.bar([str(size) for size in found], [one["rate"] for one in found.values()], color="C0")
    axes.axhline(found[1]["rate"], color="0.6", linewidth=1)
    axes.set(xlabel="clips at once", ylabel="clips a second")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--shape", choices=["preview", *SHAPES], default="100m")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the longest clip")
    parser.add_argument("--tokens", type=int, default=32, help="of each reply")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    model, processor = build(options.shape, options.device, getattr(torch, options.dtype))
    model.generation_config.eos_token_id = None  # every way draws as many tokens
    print(" size   clips/s   ratio  equal")
    with closing(engine_of(model, processor, options.tokens)) as engine:
        found = measure(engine, items_of(options.rows, options.seconds), options)
    fastest = max(found, key=lambda size: found[size]["rate"])
    print(f"fastest: {fastest} at once, {found[fastest]['ratio']:.2f} times one after another")
    if options.plot:
        plot(found, options.plot)
    result = {
        "shape": options.shape,
        "dtype": options.dtype,
        "machine": machine(options.device),
        "threads": options.threads,
        "rows": options.rows,
        "seconds": options.seconds,
        "tokens": options.tokens,
        "fastest": fastest,
        "ratio": found[fastest]["ratio"],
        "replies_equal": all(one["equal"] == options.rows for one in found.values()),
        "sizes": found,
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
