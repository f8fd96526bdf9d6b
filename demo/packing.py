"""Linear layers in oneDNN's blocked form, which a float32 model on the CPU computes faster in.

PyTorch multiplies float32 matrices on x86 by MKL, which does not use all of an AMD processor;
oneDNN does, and reads a weight fastest in a layout of its own that is made once. The products
differ by rounding (1e-6). This module knows nothing of a model but its linear layers.
"""

import os
from typing import Any

import torch
from torch import nn

from demo.attention import use_onednn

PLANS = 64  # that each of the two stores of compiled products holds
ROWS = 256  # of a product that the layout is chosen for: a chunk of a prompt


class PackedLinear(nn.Module):
    """`nn.Linear` for inference, its weight kept in the blocked form only."""

    packed: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), ROWS)
        self.register_buffer("packed", packed, persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (…, in) -> (…, out)."""
        return torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], "")


def keep_few_plans() -> None:
    """Bounds what this process keeps of products that were compiled; to be called before the first.

    oneDNN compiles for each length that it has not met, and keeps the last 1,024 of them; PyTorch's
    own store beside it as many. Together that was 400 MB after some hundred lengths. What every
    token needs is used too often to be dropped.
    """
    for store in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(store, str(PLANS))


def quicken(model: Any) -> Any:
    """A Qwen2-Audio itself; in float32 on the CPU its products are oneDNN's from now on."""
    if not torch.backends.mkldnn.is_available():
        return model
    if model.device.type == "cpu" and model.dtype == torch.float32:
        use_onednn(model)
    return pack(model)


def pack(model: Any) -> Any:
    """The model itself, its linear layers packed where that makes it faster."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if _gains(child):
                setattr(parent, name, PackedLinear(child))
    return model


def _gains(module: nn.Module) -> bool:
    """Whether it is a plain linear layer in float32 on the CPU; a quantized one is not plain."""
    if type(module) is not nn.Linear or type(module.weight.data) is not torch.Tensor:
        return False
    return module.weight.device.type == "cpu" and module.weight.dtype == torch.float32
