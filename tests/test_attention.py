from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from demo.attention import LEAST_ALL, LEAST_NEW, attend, causal_mask
from demo.engine import Engine

MODULE: Any = SimpleNamespace(num_key_value_groups=2, is_causal=True, training=False)


def drawn(new: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries, and keys and values that are views of a longer buffer, as the caches give them."""
    torch.manual_seed(new)
    query = torch.randn(1, 4, new, 16)
    key, value = (torch.randn(1, 2, count + 40, 16)[:, :, :count] for _ in range(2))
    return query, key, value


@pytest.mark.parametrize("new", [1, LEAST_NEW - 1, LEAST_NEW, 200])
@pytest.mark.parametrize("count", [LEAST_ALL - 1, LEAST_ALL, 900])
def test_it_attends_as_pytorch_does(new: int, count: int):
    query, key, value = drawn(new, count)
    mask = causal_mask(count - new, count, query)
    mine, _ = attend(MODULE, query, key, value, mask, scaling=0.2)
    theirs, _ = sdpa_attention_forward(MODULE, query, key, value, mask, scaling=0.2)
    torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_a_position_sees_itself_and_what_is_before_it():
    mask = causal_mask(2, 5, torch.zeros(1))
    assert mask is not None
    assert (mask[0, 0] == 0).int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert mask.isinf().sum() == 3
    assert causal_mask(0, 5, torch.zeros(1)) is None


def test_a_loaded_engine_avoids_the_kernels_that_prepare_for_every_length(engine: Engine):
    """On an H200 each new length cost 44 ms: every token of a reply."""
    assert engine
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.mem_efficient_sdp_enabled()
