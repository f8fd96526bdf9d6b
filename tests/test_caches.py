"""Caches with room ahead hold what plain ones hold, and copy only what is new."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import DynamicCache

from demo.caches import ROOM, cache_bytes, copy_prefix, layers_of, new_cache
from demo.packing import PackedLinear, pack

STEPS = st.lists(st.one_of(st.integers(1, 400), st.integers(-50, -1)), min_size=1, max_size=8)


def states(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(1, 2, count, 4), torch.randn(1, 2, count, 4)


@given(STEPS)
def test_a_cache_with_room_holds_what_a_plain_one_holds(steps: list[int]):
    """Whatever is fed, one or many positions at a time, and cropped in between."""
    roomy, plain = new_cache(), DynamicCache()
    for step in steps:
        held = plain.get_seq_length()
        if step < 0:
            if held > -step:
                roomy.crop(step)
                plain.crop(step)
            continue
        new = states(step)
        for mine, theirs in zip(roomy.update(*new, 0), plain.update(*new, 0), strict=True):
            assert torch.equal(mine, theirs)
    assert roomy.get_seq_length() == plain.get_seq_length()


def test_one_position_more_moves_nothing_that_is_there():
    cache = new_cache()
    cache.update(*states(10), 0)
    before = layers_of(cache)[0][0].data_ptr()
    cache.update(*states(1), 0)
    assert layers_of(cache)[0][0].data_ptr() == before
    cache.update(*states(2 * ROOM), 0)
    assert layers_of(cache)[0][0].data_ptr() != before


def test_what_was_fed_in_inference_mode_goes_on_outside_of_it():
    cache = new_cache()
    with torch.inference_mode():
        cache.update(*states(3), 0)
    keys, _ = cache.update(*states(2), 0)
    assert keys.shape[-2] == 5


def test_a_copy_of_a_prefix_is_apart_from_what_it_was_copied_from():
    cache = new_cache()
    cache.update(*states(6), 0)
    copied = copy_prefix(cache, 4)
    expected = layers_of(cache)[0][0][:, :, :4].clone()
    cache.crop(-4)
    cache.update(*states(4), 0)
    assert torch.equal(layers_of(copied)[0][0], expected)


def test_the_room_ahead_counts_as_memory():
    cache = new_cache()
    cache.update(*states(1), 0)
    assert cache_bytes(cache) >= 2 * ROOM * 2 * 4 * 4


@pytest.mark.parametrize("rows", [1, 2, 41, 300])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_the_same(rows: int, bias: bool):
    linear = nn.Linear(96, 72, bias=bias)
    given = torch.randn(1, rows, 96)
    with torch.inference_mode():
        packed = PackedLinear(linear)
        torch.testing.assert_close(packed(given), linear(given), atol=2e-6, rtol=1e-5)


def test_only_plain_layers_in_float32_are_packed():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4).bfloat16()), nn.ReLU())
    packed = pack(model)
    assert packed is model
    assert [type(layer) for layer in packed] == [PackedLinear, nn.Sequential, nn.ReLU]
    assert type(packed[1][0]) is nn.Linear
