"""Weights of 8 or 4 bits: which library makes them of a checkpoint while it is read, and how.

The encoder, the projector and the head keep their 16 bits: they are a small part of the memory
and hear, or choose the word. This module knows names of packages; it imports them when asked to.
"""

import importlib.util
from typing import Any, ClassVar

import torch

from demo.checkpoint import Quantize
from demo.engine import EngineError
from demo.messages import Sentences

KEPT = ["model.audio_tower", "model.multi_modal_projector", "lm_head"]
PACKAGES: dict[Quantize, str] = {
    "int8": "torchao",
    "int4": "torchao",
    "fp8": "torchao",
    "nf4": "bitsandbytes",
}

SENTENCES: Sentences = {
    "package": (
        "--quantize {kind} needs the package {package}, which is not installed: "
        "pip install -r requirements-quantize.txt",
        "--quantize {kind} 需要尚未安装的软件包 {package}："
        "pip install -r requirements-quantize.txt",
    ),
}


class QuantizeError(EngineError):
    """Smaller weights were asked for and cannot be."""

    sentences: ClassVar[Sentences] = SENTENCES


def quantization(kind: Quantize, dtype: torch.dtype) -> Any:
    """What `from_pretrained` takes as `quantization_config`; None for "none".

    Raises:
        QuantizeError: the package that makes such weights is not installed.
    """
    if kind == "none":
        return None
    package = PACKAGES[kind]
    if importlib.util.find_spec(package) is None:
        raise QuantizeError("package", kind=kind, package=package)
    return _bitsandbytes(dtype) if package == "bitsandbytes" else _torchao(kind)


def _torchao(kind: Quantize) -> Any:
    from torchao import quantization as ao  # pyright: ignore[reportMissingImports]
    from transformers import TorchAoConfig

    made = {
        "int8": ao.Int8WeightOnlyConfig,
        "int4": ao.Int4WeightOnlyConfig,
        "fp8": ao.Float8WeightOnlyConfig,
    }[kind]
    return TorchAoConfig(quant_type=made(), modules_to_not_convert=KEPT)


def _bitsandbytes(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=KEPT,
    )


def stored_bytes(weight: torch.Tensor) -> int:
    """What a weight takes; one of several tensors (torchao's) says only what it stands for."""
    if not hasattr(weight, "__tensor_flatten__"):
        return weight.nbytes
    names, _ = weight.__tensor_flatten__()  # type: ignore[operator]
    return sum(stored_bytes(getattr(weight, name)) for name in names)
