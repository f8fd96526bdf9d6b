"""Fine-tunes a Qwen2-Audio checkpoint on a manifest of conversations.

    python -m finetune --model BASE --train TRAIN.jsonl --output DIR [--eval EVAL.jsonl]

A line of a manifest is `{"messages": [turns]}` in the model card's form; an `audio_url` is a path,
absolute or beside the manifest, of at most 30 s. The encoder stays as it is, so each clip is heard
once; projector and decoder are trained, in the same loop that makes the preview. Run again after
a stop, it goes on where it was; the result is in OUTPUT/checkpoint.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from finetune.encoding import fill
from finetune.export import save
from finetune.features import Listener
from finetune.manifest import Manifest
from finetune.store import FeatureStore
from finetune.student import Student
from finetune.training import Recipe, evaluate, train

WINDOW_SECONDS = 30
SAMPLE_RATE = 16_000


def reader(folder: Path) -> Callable[[str], np.ndarray]:
    """Reads the clips of a manifest that lies in `folder`."""

    def read(url: str) -> np.ndarray:
        clip, _ = librosa.load(folder / url, sr=SAMPLE_RATE, mono=True)
        if len(clip) > WINDOW_SECONDS * SAMPLE_RATE:
            seconds = len(clip) / SAMPLE_RATE
            raise ValueError(f"{Path(url).name}: {seconds:.1f} s, more than one window of 30 s")
        return clip.astype(np.float32)

    return read


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune", description=__doc__)
    parser.add_argument("--model", required=True, help="checkpoint to start from: name or folder")
    parser.add_argument("--train", type=Path, required=True, help="manifest to learn from")
    parser.add_argument("--eval", type=Path, help="manifest to measure the loss on at the end")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, help="default: every conversation once")
    parser.add_argument("--batch-tokens", type=int, default=Recipe.batch_tokens)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="faster steps; needs a C++ compiler")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    torch.manual_seed(options.seed)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(options.model)
    tower = model.model.audio_tower.eval()
    listener = Listener(tower, processor.feature_extractor)
    store = FeatureStore(options.output / "features", tower.config.d_model)
    manifests = {path: Manifest(path) for path in (options.train, options.eval) if path}
    for path, manifest in manifests.items():
        fill(store, manifest.clips(), reader(path.parent), listener, bf16=False)
    recipe = Recipe(
        steps=options.steps,
        batch_tokens=options.batch_tokens,
        learning_rate=options.learning_rate,
        seed=options.seed,
        device=options.device,
    )
    student = Student(model, ctc_weight=0.0, compiled=options.compile)
    output = options.output / "run"
    student = train(student, processor, manifests[options.train], store, recipe, output)
    if options.eval:
        loss = evaluate(student, processor, manifests[options.eval], store, recipe)
        print(f"loss on {options.eval.name}: {loss:.4f}")
    save(student.model, processor, options.output / "checkpoint")


if __name__ == "__main__":
    main()
