"""Shows on the preview checkpoint what a LoRA learns and what it forgets, from the first clip on.

    python -m finetune.demonstration --output DIR [--seed 1]

It makes the clips of `finetune.lesson`, tunes with the command that it prints, and asks before and
after, all on the CPU: unseen clips of what is new, and of what the preview knew.
"""

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from demo.adapter import read_adapter, with_adapter
from demo.audio import Ear
from demo.checkpoint import PREVIEW
from finetune import lesson
from finetune.__main__ import main as tune
from finetune.manifest import Manifest
from finetune.replying import Replier

OPTIONS = "--lora --epochs 4 --learning-rate 5e-3 --batch-tokens 1200 --device cpu"
Scores = dict[str, tuple[int, int]]
"""How many were asked and how many replies were right, to the letter."""


def command(folder: Path) -> list[str]:
    """The fine-tuning command on a lesson in `folder`, after `python -m finetune`."""
    files = ["--train", str(folder / "train.jsonl"), "--output", str(folder / "run")]
    return ["--model", "preview", *files, *OPTIONS.split()]


def preview() -> Any:
    return Qwen2AudioForConditionalGeneration.from_pretrained(PREVIEW, dtype=torch.float32)


def scores(model: Any, folder: Path) -> Scores:
    """What `model` gets right of what is new and of what is old."""
    ear, processor = Ear(), AutoProcessor.from_pretrained(PREVIEW)

    def read(url: str) -> np.ndarray:
        return ear.hear(folder / url).samples

    replier = Replier(model, processor, read)
    found: Scores = {}
    for name in ("new", "old"):
        turns = list(Manifest(folder / f"{name}.jsonl"))
        said = replier.replies([one[:-1] for one in turns])
        right = Counter(
            reply.strip() == one[-1]["content"] for reply, one in zip(said, turns, strict=True)
        )
        found[name] = (len(turns), right[True])
    return found


def table(before: Scores, after: Scores) -> str:
    """Both scores, as README shows them."""
    lines = ["| unseen clips | asked | right before | right after |", "|---|---|---|---|"]
    what = {"new": "ten new words and a new sound", "old": "what it knew"}
    for name, words in what.items():
        asked, first = before[name]
        _, last = after[name]
        lines.append(f"| {words} | {asked} | {first / asked:.1%} | {last / asked:.1%} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune.demonstration", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    lesson.make(options.output, seed=options.seed)
    before = scores(preview(), options.output)
    given = command(options.output)
    print("python -m finetune " + " ".join(given), flush=True)
    tune(given)
    adapter = read_adapter(options.output / "run" / "adapter")
    after = scores(with_adapter(preview(), adapter, "preview").get_base_model(), options.output)
    print(table(before, after) + f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
