"""Makes one plain checkpoint of a LoRA and its base, for whatever loads a Qwen2-Audio.

python -m finetune merge ADAPTER DESTINATION [--base MODEL] [--dtype float32]
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoProcessor, Qwen2AudioForConditionalGeneration

from demo.adapter import merged, read_adapter
from demo.checkpoint import PREVIEW
from demo.engine import EngineError
from finetune.export import save

DTYPES = ("auto", "float32", "bfloat16", "float16")


def merge(folder: Path, destination: Path, base: str | None = None, dtype: str = "auto") -> str:
    """Writes the checkpoint; returns the base's name. Summed in float32, whatever is written.

    Raises:
        EngineError: the folder is no adapter, or does not fit the base.
    """
    adapter = read_adapter(folder)
    name = base or adapter.base
    source = PREVIEW if name == "preview" else name
    processor = AutoProcessor.from_pretrained(source)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(source, dtype=torch.float32)
    own: Any = AutoConfig.from_pretrained(source).dtype
    written: torch.dtype = (own or torch.float32) if dtype == "auto" else getattr(torch, dtype)
    save(merged(model, adapter, name), processor, destination, written)
    return name


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune merge", description=__doc__)
    parser.add_argument("adapter", type=Path, help="folder that `python -m finetune --lora` wrote")
    parser.add_argument("destination", type=Path, help="folder of the new checkpoint")
    parser.add_argument("--base", help="where it is now: preview, a name or a folder")
    parser.add_argument("--dtype", choices=DTYPES, default="auto", help="auto: as the base's")
    options = parser.parse_args(arguments)
    try:
        name = merge(options.adapter, options.destination, options.base, options.dtype)
    except EngineError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:  # the base is not to be had
        raise SystemExit(f"the base cannot be read: {str(error).splitlines()[0]}") from None
    print(f"{options.destination}: {options.adapter} merged into {name}")
