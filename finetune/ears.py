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
ALIKE = {"cpu": 1.25, "cuda": 2.0}  # the longest of clips that go together to the shortest


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
        clips, sizes = frames.split(lengths.tolist()), lengths.tolist()
        groups = list(alike(sizes, ALIKE[frames.device.type]))
        heard = torch.cat([self._heard([clips[place] for place in group]) for group in groups])
        order = torch.tensor([place for group in groups for place in group])
        tokens = torch.tensor(sizes) // POSITIONS_PER_TOKEN
        runs = torch.arange(len(heard)).split(tokens[order].tolist())
        back = torch.cat([runs[place] for place in order.argsort().tolist()])
        return heard[back.to(heard.device)]

    def _heard(self, clips: list[torch.Tensor]) -> torch.Tensor:
        """The audio tokens of clips of like length, one clip after the other (tokens, width)."""
        sizes = [len(clip) for clip in clips]
        hidden = nn.utils.rnn.pad_sequence(clips, batch_first=True)
        tokens = pooled(self.encoder, layered(self.encoder, self.layers, hidden, sizes))
        own = torch.tensor(sizes, device=tokens.device) // POSITIONS_PER_TOKEN
        return tokens[torch.arange(tokens.shape[1], device=tokens.device) < own[:, None]]


def alike(lengths: list[int], most: float) -> Iterator[list[int]]:
    """The places of `lengths` in groups whose longest is at most so many times the shortest."""
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and lengths[place] > most * lengths[group[0]]:
            yield group
            group = []
        group.append(place)
    if group:
        yield group
