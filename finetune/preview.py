"""Makes the preview checkpoint: base, tokenizer, conversations and training in one command.

    python -m finetune.preview --clips DIR --output DIR --seed 1

Run again after a stop, it goes on where it was. The clips come from `python -m finetune.clips`.
"""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.trainer_utils import get_last_checkpoint

from finetune import answers
from finetune.answers import is_speech
from finetune.base import Shape, build_base
from finetune.clips import questions
from finetune.clips.library import Row, open_library
from finetune.conversations import conversation
from finetune.ears import POSITIONS_PER_TOKEN
from finetune.encoding import Variants, fill
from finetune.export import save
from finetune.features import Listener
from finetune.manifest import Manifest, write_manifest
from finetune.masking import Masking
from finetune.rendering import Conversation
from finetune.shelf import Shelf, first_of, read
from finetune.store import FeatureStore
from finetune.student import ALONE, Student
from finetune.tokenizer import train_tokenizer
from finetune.training import Recipe, bf16_pays, train
from finetune.wordings import sections

VOCABULARY = 768


def tokenizer_texts(rows: list[Row]) -> Iterator[str]:
    """What the preview reads and writes, in about the shares in which it does so."""
    for row in rows:
        if row["text"]:
            yield answers.spoken_text(row)
            yield answers.voice(row)
    for name in questions.fixed_questions():
        yield from [questions.answer({"id": name})] * 20
    for file in ("prompts.txt", "untrained.txt"):
        for lines in sections(file).values():
            yield from lines * 5
    yield from [answers.HONEST, answers.HONEST_ZH] * 200


def shelf_of(options: argparse.Namespace) -> Shelf:
    rows = [row for row in open_library(options.clips) if row["split"] == "train"]
    return Shelf(rows[: options.most_clips], options.seed, options.long_clips)


def drawn_conversations(shelf: Shelf, count: int, seed: int) -> Iterator[Conversation]:
    for number in range(count):
        yield conversation(shelf, np.random.default_rng([seed, number]))


def base_of(
    options: argparse.Namespace, shelf: Shelf
) -> tuple[Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor]:
    """The untrained model, what the run before this one started from, or a whole checkpoint."""
    folder = options.output / "base"
    if options.start:
        kept = options.start / "base"
        shutil.copytree(kept if kept.exists() else options.start, folder, dirs_exist_ok=True)
    elif not (folder / "config.json").exists():
        tokenizer = train_tokenizer(tokenizer_texts(list(shelf.rows.values())), VOCABULARY)
        model, processor = build_base(options.encoder, tokenizer, Shape(), options.seed)
        processor.save_pretrained(folder)
        model.save_pretrained(folder)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model.to(options.device), AutoProcessor.from_pretrained(folder)  # type: ignore[arg-type]


def heard(
    model: Qwen2AudioForConditionalGeneration,
    processor: Qwen2AudioProcessor,
    manifest: Manifest,
    shelf: Shelf,
    folder: Path,
    options: argparse.Namespace,
    bf16: bool,
) -> FeatureStore:
    """What every clip in the manifest, and its variants, are to the encoder's frozen layers."""
    tower = model.model.audio_tower.eval()
    per_token = POSITIONS_PER_TOKEN if options.trained_layers else 1
    store = FeatureStore(folder, tower.config.d_model, per_token)
    listener = Listener(tower, processor.feature_extractor, options.trained_layers)
    variants = Variants(options.variants, lambda url: is_speech(first_of(url, shelf.rows)))
    fill(store, manifest.clips(), lambda url: read(url, shelf.rows), listener, bf16, variants)
    return store


def student_of(options: argparse.Namespace, model: Qwen2AudioForConditionalGeneration) -> Student:
    """What is trained; a head that the run before this one had not starts anew."""
    kept = heads_of(options.start)
    begun = not options.start or bool(kept) or (options.output / "run").exists()
    student = Student(
        model,
        compiled=options.compile,
        masking=Masking(),
        trained_layers=options.trained_layers,
        alone=0 if begun else ALONE,
    )
    student.load_state_dict({**student.state_dict(), **kept})
    return student.to(options.device)


def heads_of(start: Path | None) -> dict[str, torch.Tensor]:
    """The last weights of the run to go on from, heads included; none of a mere checkpoint."""
    if not start or not (start / "run").exists():
        return {}
    last = get_last_checkpoint(str(start / "run"))
    if last is None:
        raise SystemExit(f"{start.name} has no saved checkpoint yet")
    return load_file(Path(last) / "model.safetensors")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune.preview", description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="a library of finetune.clips")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--encoder", default="openai/whisper-tiny.en", help="hub name or folder")
    parser.add_argument(
        "--start", type=Path, help="OUTPUT of a run to go on from, or a checkpoint (with new heads)"
    )
    parser.add_argument("--features", type=Path, help="folder of kept features (OUTPUT/features)")
    parser.add_argument("--trained-layers", type=int, default=0, help="of the encoder, topmost")
    parser.add_argument("--variants", type=int, default=0, help="of speech, by warped spectra")
    parser.add_argument("--most-clips", type=int, help="use only so many, the first ones")
    parser.add_argument("--long-clips", type=int, default=2500, help="how many to join from others")
    parser.add_argument("--conversations", type=int, default=200_000)
    parser.add_argument("--steps", type=int, help="fewer steps than the conversations give")
    parser.add_argument("--schedule", default=Recipe.schedule, help="of the learning rate")
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--encoder-rate", type=float, default=Recipe.encoder_rate)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, default=Recipe.batch_tokens)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--loaders", type=int, default=0, help="processes that make batches")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="faster steps; needs a C++ compiler")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    shelf = shelf_of(options)
    model, processor = base_of(options, shelf)
    path = options.output / "train.jsonl"
    if not path.exists():
        write_manifest(path, drawn_conversations(shelf, options.conversations, options.seed))
    manifest = Manifest(path)
    recipe = Recipe(
        steps=options.steps,
        epochs=options.epochs,
        batch_tokens=options.batch_tokens,
        device=options.device,
        loaders=options.loaders,
        learning_rate=options.learning_rate,
        encoder_rate=options.encoder_rate,
        schedule=options.schedule,
        seed=options.seed,
        bf16=bf16_pays(options.device),
    )
    torch.manual_seed(options.seed)
    student = student_of(options, model)
    features = options.features or options.output / "features"
    store = heard(model, processor, manifest, shelf, features, options, recipe.bf16)
    student = train(student, processor, manifest, store, recipe, options.output / "run")
    save(student.model, processor, options.output / "checkpoint")


if __name__ == "__main__":
    main()
