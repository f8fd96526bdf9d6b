"""What training hides from the student, so that it listens instead of learning clips by heart.

Pieces of speech are silenced in time, as SpecAugment does it (Park et al., 2019), here on the
encoder's output; numbers of every clip are dropped and blurred; and now and then a word that the
reply has already said is taken away. This module knows neither models nor losses.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import dropout


@dataclass(frozen=True)
class Masking:
    """How much is hidden; `Masking(0, 0, 0, 0)` changes nothing."""

    gaps: float = 0.03  # chance that a gap begins at a frame of speech (40 ms)
    longest_gap: int = 4  # frames
    numbers: float = 0.1  # chance of each number of a feature to be dropped
    words: float = 0.06  # chance of each token of a reply to be hidden from the tokens after it
    blur: float = 0.1  # noise on features, in their own standard deviation

    def clips(self, features: torch.Tensor, speech: torch.Tensor) -> torch.Tensor:
        """Features (frames, width) as the student gets them; only `speech` (frames,) has gaps."""
        noise = self.blur * features.std() * torch.randn_like(features)
        blurred = dropout(features + noise, self.numbers)
        hidden = gaps(len(features), self.gaps, self.longest_gap, features.device) & speech
        return blurred * ~hidden[:, None]

    def replies(self, words: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """Embeddings (rows, tokens, width) without some of those where `said` is true."""
        hidden = (torch.rand(said.shape, device=said.device) < self.words) & said
        return words.masked_fill(hidden[..., None], 0.0)


def gaps(
    frames: int, chance: float, longest: int, device: torch.device | None = None
) -> torch.Tensor:
    """Frames (frames,) that lie in a gap of 1 to `longest` frames."""
    begins = torch.rand(frames, device=device) < chance
    length = torch.randint(1, longest + 1, (frames,), device=device) * begins
    hidden = torch.zeros(frames, dtype=torch.bool, device=device)
    for distance in range(longest):
        begun = length[: frames - distance] > distance
        hidden[distance:] |= begun
    return hidden
