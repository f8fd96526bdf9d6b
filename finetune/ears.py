"""The topmost layers of an encoder as something to train, from what the layers below them heard.

The layers below stay frozen, so that a clip goes through them once and its frames are kept. This
module knows neither text nor losses.
"""

from collections.abc import Iterator

import torch
from torch import nn
from transformers import Qwen2AudioEncoder

from demo.encoder import layered, pooled

POSITIONS_PER_TOKEN = 2
ALIKE = 1.25  # clips go together whose lengths differ by no more, since padding costs as well


class Ears:
    """The topmost `layers` of an encoder, which become trainable together with its last norm.

    They stay the model's own modules, so this is none.
    """

    def __init__(self, encoder: Qwen2AudioEncoder, layers: int) -> None:
        self.encoder = encoder
        self.layers = list(encoder.layers)[-layers:]
        for module in [*self.layers, encoder.layer_norm]:
            module.requires_grad_(True)

    def __call__(self, frames: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Audio tokens of all clips (tokens, width) from their frames (frames, width).

        `lengths` says how many frames belong to each clip.
        """
        clips = frames.split(lengths.tolist())
        heard: dict[int, torch.Tensor] = {}
        for places in alike(lengths.tolist()):
            group = [clips[place] for place in places]
            sizes = [len(clip) for clip in group]
            hidden = nn.utils.rnn.pad_sequence(group, batch_first=True)
            tokens = pooled(self.encoder, layered(self.encoder, self.layers, hidden, sizes))
            for place, row, size in zip(places, tokens, sizes, strict=True):
                heard[place] = row[: size // POSITIONS_PER_TOKEN]
        return torch.cat([heard[place] for place in range(len(clips))])


def alike(lengths: list[int]) -> Iterator[list[int]]:
    """The places of `lengths` in groups of like length."""
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and lengths[place] > ALIKE * lengths[group[0]]:
            yield group
            group = []
        group.append(place)
    if group:
        yield group
