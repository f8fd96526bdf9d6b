"""Shows on the preview checkpoint what a LoRA learns and what it forgets, from the first clip on.

    python -m finetune.demonstration --output DIR [--seed 1]

It makes the clips of `finetune.lesson`, mixes the new with what the preview says of the old, tunes
with the command that it prints, and asks before and after, all on the CPU.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from demo.adapter import read_adapter, with_adapter
from demo.checkpoint import PREVIEW
from finetune import lesson
from finetune.__main__ import main as tune
from finetune.manifest import Manifest, write_manifest
from finetune.rehearsing import rehearse, replies_to

OPTIONS = "--lora --epochs 4 --learning-rate 2.5e-3 --batch-tokens 1200 --device cpu"
WHAT = {"new": "new words and a new sound", "old": "what it knew"}
Scores = dict[str, tuple[int, int]]
"""How many were asked and how many replies were right, to the letter."""


def preview() -> Any:
    return Qwen2AudioForConditionalGeneration.from_pretrained(PREVIEW, dtype=torch.float32)


def adapted(folder: Path) -> Any:
    """The preview with the adapter in a folder."""
    return with_adapter(preview(), read_adapter(folder), "preview").get_base_model()


def mix(folder: Path, model: Any) -> Path:
    """The manifest of a lesson: what is new, and the old with the model's own replies."""
    processor = AutoProcessor.from_pretrained(PREVIEW)
    rehearse(model, processor, folder / "keep.jsonl", folder / "kept.jsonl")
    parts = (Manifest(folder / name) for name in ("learn.jsonl", "kept.jsonl"))
    write_manifest(folder / "train.jsonl", (turns for part in parts for turns in part))
    return folder / "train.jsonl"


def command(train: Path, output: Path, options: str = OPTIONS) -> list[str]:
    """What follows `python -m finetune`."""
    files = ["--train", str(train), "--output", str(output)]
    return ["--model", "preview", *files, *options.split()]


def scores(model: Any, folder: Path) -> Scores:
    """What a model gets right of what is new and of what is old."""
    processor = AutoProcessor.from_pretrained(PREVIEW)
    found: Scores = {}
    for name in WHAT:
        expected = [turns[-1]["content"] for turns in Manifest(folder / f"{name}.jsonl")]
        said = replies_to(model, processor, folder / f"{name}.jsonl")
        right = sum(one.strip() == other for one, other in zip(said, expected, strict=True))
        found[name] = (len(expected), right)
    return found


def table(before: Scores, after: Scores) -> str:
    """Both scores, as README shows them."""
    lines = ["| unseen clips | asked | right before | right after |", "|---|---|---|---|"]
    for name, words in WHAT.items():
        asked, first = before[name]
        _, last = after[name]
        lines.append(f"| {words} | {asked} | {first / asked:.1%} | {last / asked:.1%} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune.demonstration", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    started, model = time.monotonic(), preview()
    lesson.make(options.output, seed=options.seed)
    before = scores(model, options.output)
    given = command(mix(options.output, model), options.output / "run")
    print("python -m finetune " + " ".join(given), flush=True)
    tune(given)
    after = scores(adapted(options.output / "run" / "adapter"), options.output)
    print(table(before, after) + f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
