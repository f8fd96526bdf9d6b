"""Key-value caches: how they grow, are copied, and what they take.

`transformers`' own dynamic cache copies all of itself for each new token; one with room ahead
copies what is new. This module knows no model and no conversation.
"""

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer, StaticLayer

ROOM = 256  # positions: a cache grows by as many, or by an eighth where it is long


class RoomyLayer(DynamicLayer):
    """A dynamic layer in a buffer with room ahead; its keys and values are views of the buffer."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self.buffers = (key_states[..., :0, :], value_states[..., :0, :])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (batch, heads, positions, width) of all positions, the new ones last."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if end > self.buffers[0].shape[-2]:
            self._grow(start, end)
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = states
        self.keys, self.values = (buffer[..., :end, :] for buffer in self.buffers)
        return self.keys, self.values

    def _grow(self, start: int, end: int) -> None:
        room = -(-(end + max(ROOM, end // 8)) // ROOM) * ROOM
        self.buffers = tuple(_longer(buffer, start, room) for buffer in self.buffers)


def _longer(buffer: torch.Tensor, length: int, room: int) -> torch.Tensor:
    """A buffer with `room` positions, the first `length` of them taken over."""
    with torch.inference_mode(False):  # else nothing outside of inference mode could write to it
        longer = buffer.new_empty((*buffer.shape[:-2], room, buffer.shape[-1]))
    longer[..., :length, :] = buffer[..., :length, :]
    return longer


def new_cache() -> DynamicCache:
    """An empty cache that grows with room ahead."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = RoomyLayer
    return cache


def copy_prefix(cache: Cache, length: int) -> DynamicCache:
    """A new cache of the first `length` positions; the old one stays as it is."""
    copied = new_cache()
    for number, (keys, values) in enumerate(layers_of(cache)):
        copied.update(keys[:, :, :length], values[:, :, :length], number)
    return copied


def layers_of(cache: Cache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of each layer that was fed: (1, heads, positions, width)."""
    return [
        (layer.keys, layer.values)
        for layer in cache.layers
        if isinstance(layer, DynamicLayer | StaticLayer)
        and layer.keys is not None
        and layer.values is not None
    ]


def cache_bytes(cache: Cache) -> int:
    """What a cache takes, its room ahead included."""
    return sum(
        buffer.nbytes
        for layer in cache.layers
        if isinstance(layer, RoomyLayer) and layer.is_initialized
        for buffer in layer.buffers
    )
