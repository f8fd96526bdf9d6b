"""Fine-tunes a Qwen2-Audio checkpoint on a manifest of conversations: all of it, or a LoRA.

    python -m finetune --model BASE --train TRAIN.jsonl --output DIR [--eval EVAL.jsonl] [--lora]
    python -m finetune convert IN.jsonl OUT.jsonl    a manifest of `audio`, `prompt`, `gt`
    python -m finetune rehearse --model BASE IN.jsonl OUT.jsonl    BASE's own replies, to keep them
    python -m finetune merge ADAPTER DESTINATION     a LoRA and its base as one checkpoint

A line of a manifest is `{"messages": [turns]}` in the model card's form; an `audio_url` is a path,
absolute or beside the manifest, or a URL. Every row is checked before the first step. The encoder
stays as it is but for what --trained-layers or --lora-encoder asks for, so each clip goes through
the rest of it once. Run again after a stop, it goes on where it was; the result is in
OUTPUT/checkpoint or, of a LoRA, in OUTPUT/adapter. Several GPUs: `accelerate launch -m finetune …`.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from finetune.training import Recipe


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model", required=True, help="checkpoint to start from: preview, a name or a folder")
    add("--train", type=Path, required=True, help="manifest to learn from")
    add("--eval", type=Path, help="manifest to measure the loss on, before and after")
    add("--output", type=Path, required=True)
    add("--split-long", action="store_true", help="hear clips over 30 s in parts, as the app does")
    add_steps(parser)
    add_machine(parser)
    add_lora(parser)
    return parser


def add_steps(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how long, how fast").add_argument
    add("--epochs", type=int, default=3, help="how often each conversation is seen [3]")
    add("--steps", type=int, help="so many steps, whatever --epochs says")
    add("--batch-tokens", type=int, default=Recipe.batch_tokens, help="a batch [%(default)s]")
    add("--accumulate", type=int, default=1, help="batches a step, on each GPU [1]")
    add("--learning-rate", type=float, help="[1e-5; 2e-4 with --lora]")
    add("--trained-layers", type=int, default=0, help="of the encoder, topmost, trained fully [0]")
    add("--encoder-rate", type=float, default=1.0, help="of the learning rate, for those [1]")
    add("--save-every", type=int, default=Recipe.save_every, help="steps [%(default)s]")
    add("--seed", type=int, default=1)


def add_machine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the machine").add_argument
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--bf16", action="store_true", help="compute in bfloat16; of a LoRA's base keep only that")
    add("--gradient-checkpointing", action="store_true", help="less memory, slower steps")
    add("--deepspeed", type=Path, metavar="JSON", help="such as finetune/deepspeed/zero3.json")
    add("--compile", action="store_true", help="faster steps; needs a C++ compiler")


def add_lora(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("a LoRA instead of all weights").add_argument
    add("--lora", action="store_true", help="adapters on the decoder's attention and MLP")
    add("--lora-rank", type=int, default=8, help="[8]")
    add("--lora-alpha", type=int, default=16, help="[16]")
    add("--lora-dropout", type=float, default=0.05, help="[0.05]")
    add("--lora-projector", action="store_true", help="on the projector too")
    add("--lora-encoder", action="store_true", help="on all of the encoder's layers too")


def checked(arguments: list[str] | None) -> argparse.Namespace:
    """The options; a wish that cannot be met ends the program in a sentence."""
    reader = parser()
    options = reader.parse_args(arguments)
    if (options.lora_projector or options.lora_encoder) and not options.lora:
        reader.error("--lora-projector and --lora-encoder go with --lora")
    if options.lora and options.trained_layers:
        reader.error("--trained-layers trains them fully; with --lora take --lora-encoder")
    for name in ("epochs", "steps", "batch_tokens", "accumulate", "lora_rank", "save_every"):
        value = getattr(options, name)
        if value is not None and value < 1:
            reader.error(f"--{name.replace('_', '-')} must be 1 or more")
    if options.deepspeed and importlib.util.find_spec("deepspeed") is None:
        reader.error("--deepspeed needs DeepSpeed, which is not installed: pip install deepspeed")
    for path in (options.train, options.eval, options.deepspeed):
        if path and not path.is_file():
            reader.error(f"{path.name} is not there, or no file")
    return options


def main(arguments: list[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else arguments
    match given:
        case ["convert", *rest]:
            from finetune import converting

            converting.main(rest)
        case ["rehearse", *rest]:
            from finetune import rehearsing

            rehearsing.main(rest)
        case ["merge", *rest]:
            from finetune import merging

            merging.main(rest)
        case _:
            options = checked(given)  # before what takes seconds to import
            from finetune.tuning import tune

            tune(options)


if __name__ == "__main__":
    main()
