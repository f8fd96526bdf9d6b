"""Writes a checkpoint that Transformers loads from where a training run stands.

    python -m finetune.export OUTPUT DESTINATION [--base DIR]

OUTPUT is the output folder of `finetune.preview`; the averaged weights of its last save are
taken, so a run may go on meanwhile.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor
from transformers.trainer_utils import get_last_checkpoint

from finetune.averaging import FILE

STUDENT_PREFIX = "model."
"""`Student` holds the model under this name."""


def save(
    model: Any,  # its own type does not bind its to()
    processor: Qwen2AudioProcessor,
    folder: Path,
    dtype: torch.dtype = torch.float16,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Ship it: in few bytes, and nothing but what Transformers reads.

    `weights` are the model's own where they do not lie in it, as under DeepSpeed.
    """
    chosen = {name: weight.to(dtype) for name, weight in (weights or model.state_dict()).items()}
    model.to(dtype).save_pretrained(folder, state_dict=chosen)
    processor.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)


def averaged(base: Path, checkpoint: Path) -> Qwen2AudioForConditionalGeneration:
    """The base with the averaged weights of a run's checkpoint."""
    model = Qwen2AudioForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    weights = load_file(checkpoint / FILE)
    mine = {
        name.removeprefix(STUDENT_PREFIX): weight
        for name, weight in weights.items()
        if name.startswith(STUDENT_PREFIX)
    }
    unknown = model.load_state_dict(mine, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"{checkpoint.name} is not of {base.name}: {unknown[0]}")
    return model


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune.export", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--base", type=Path, help="what the run started from (OUTPUT/base)")
    options = parser.parse_args(arguments)
    base = options.base or options.output / "base"
    last = get_last_checkpoint(str(options.output / "run"))
    if last is None:
        parser.error(f"{options.output.name} has no saved checkpoint yet")
    save(averaged(base, Path(last)), AutoProcessor.from_pretrained(base), options.destination)
    print(f"{options.destination}: {Path(last).name} of {options.output.name}")


if __name__ == "__main__":
    main()
