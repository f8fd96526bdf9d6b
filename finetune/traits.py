"""What a clip's own positions are to tell besides its words: how loud it is, and who speaks.

A reply asks for either in one conversation of many; asked of every clip while training, the
decoder learns to hear them. This module knows neither replies nor words.
"""

from typing import Any

import torch
from torch import nn

from finetune.rendering import IGNORED

TRAITS: dict[str, tuple[str, ...]] = {
    "level": ("quiet", "normal", "loud"),
    "gender": ("male", "female"),
}


def traits_of(row: dict[str, Any]) -> dict[str, str]:
    """Those of a library row's traits that are known."""
    return {name: row[name] for name in TRAITS if row[name] is not None}


def trait_ids(part: dict[str, Any]) -> list[int]:
    """The place of each trait of an audio part among its values; `IGNORED` where unknown."""
    return [
        values.index(part[name]) if name in part else IGNORED for name, values in TRAITS.items()
    ]


class TraitHead(nn.Module):
    """One linear layer for each trait, on the mean of a clip's hidden states."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in TRAITS.values())

    def forward(
        self, hidden: torch.Tensor, clip_tokens: torch.Tensor, traits: torch.Tensor
    ) -> torch.Tensor:
        """The mean loss of what is known; 0 where nothing is.

        `hidden` holds the audio tokens of all clips (tokens, width), `clip_tokens` how many
        belong to each, `traits` the rows of `trait_ids` (clips, traits).
        """
        clip_of = torch.arange(len(clip_tokens), device=hidden.device).repeat_interleave(
            clip_tokens
        )
        sums = hidden.new_zeros(len(clip_tokens), hidden.shape[1]).index_add(0, clip_of, hidden)
        means = sums / clip_tokens[:, None]
        losses = [
            nn.functional.cross_entropy(head(means), wanted, ignore_index=IGNORED, reduction="sum")
            for head, wanted in zip(self.heads, traits.T, strict=True)
        ]
        return torch.stack(losses).sum() / (traits != IGNORED).sum().clamp(min=1)
