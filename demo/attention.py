"""Which kernels attend: oneDNN's on the CPU, and on CUDA not those that prepare for each length.

On a float32 model on the CPU many new positions over a long cache are attended to by oneDNN:
PyTorch's own kernel multiplies by MKL, which does not use all of an AMD processor (see
`demo.packing`); with 256 new positions over 3,000 this takes 0.6 times as long, and differs by
rounding (1e-6). Short feeds and batches go to PyTorch's. It knows nothing of conversations.
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "onednn"
LEAST_NEW = 64  # positions; with fewer, PyTorch's kernel is as fast
LEAST_ALL = 512


def avoid_cudnn() -> None:
    """Lets this process attend on CUDA by PyTorch's other kernels.

    Where it is there, PyTorch prefers cuDNN's, which makes a plan for every length that it has not
    met: 44 ms each on an H200 (PyTorch 2.11), where the others take 0.4. In a conversation every
    turn, and without a compiled step every token, is of a new length.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


def use_onednn(model: Any) -> None:
    """Lets the decoder of a float32 model on the CPU attend by oneDNN, where it used PyTorch's."""
    decoder = model.model.language_model
    if decoder.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        decoder.config._attn_implementation = NAME


def causal_mask(start: int, stop: int, like: torch.Tensor) -> torch.Tensor | None:
    """What positions `start` to `stop` see, to be added to scores (1, 1, new, all).

    Made once for all layers; None where there is nothing before them, which kernels know by
    themselves.
    """
    if not start:
        return None
    mask = like.new_zeros(1, 1, stop - start, stop)
    mask[..., start:] = torch.full_like(mask[..., start:], -torch.inf).triu(1)
    return mask


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """As `transformers` calls it: (batch, heads, positions, width) -> (batch, new, heads, width).

    A floating mask is taken for `causal_mask`'s.
    """
    rows, heads, new, width = query.shape
    count = key.shape[2]
    few = rows > 1 or new < LEAST_NEW or count < LEAST_ALL
    if few or attention_mask is None or not attention_mask.is_floating_point():
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
    start, group = count - new, heads // key.shape[1]
    seen = attention_mask[0, 0, :, start:]
    query = query * (scaling or width**-0.5)
    mixed = query.new_empty(1, new, heads, width)
    for head in range(heads):
        scores = product(query[0, head], key[0, head // group])
        scores[:, start:] += seen
        weights = scores.softmax(-1)
        mixed[0, :, head] = product(weights, value[0, head // group].T)
    return mixed, None


def product(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Rows (n, in) times weight (out, in): (n, out)."""
    return torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")
