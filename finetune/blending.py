"""The mean of two checkpoints of one training, as a checkpoint.

    python -m finetune.blending FIRST SECOND OUTPUT [--share 0.5]

Weights on the way of one training lie near enough for their mean to work, and it keeps more of what
either can do (model soups, Wortsman et al. 2022). This module knows no model.
"""

import argparse
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

WEIGHTS = "model.safetensors"


def blend(first: Path, second: Path, output: Path, share: float = 0.5) -> None:
    """`share` of the second's weights and the rest of the first's, in the first's precision.

    Raises:
        SystemExit: they are not of one shape.
    """
    one, other = load_file(first / WEIGHTS), load_file(second / WEIGHTS)
    if {name: weight.shape for name, weight in one.items()} != {
        name: weight.shape for name, weight in other.items()
    }:
        raise SystemExit(f"{first.name} and {second.name} are not of one shape")
    shutil.copytree(first, output, dirs_exist_ok=True)
    mixed = {
        name: ((1 - share) * weight.float() + share * other[name].float()).to(weight.dtype)
        for name, weight in one.items()
    }
    save_file(mixed, output / WEIGHTS, metadata={"format": "pt"})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune.blending", description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second's weights")
    options = parser.parse_args(arguments)
    blend(options.first, options.second, options.output, options.share)


if __name__ == "__main__":
    main()
