"""Speech as other throats and other microphones would have made it, from its log-mel spectrogram.

The frequency axis is stretched, as vocal tract length perturbation does it (Jaitly and Hinton,
2013), and a smooth curve over the mel bins stands for a microphone and a room. The words and the
length stay. This module knows neither encoders nor files.
"""

from dataclasses import dataclass

import torch
from transformers import WhisperFeatureExtractor

DECIBELS = 40  # of power, to one unit of Whisper's log-mels: log10, divided by 4
WAVES = 3  # cosines over the bins that a microphone's curve is made of
FAINT = 0.25  # log-mel above a clip's lowest: what is fainter is silence, which has no curve


@dataclass(frozen=True)
class Warping:
    """How far speech is moved; `Warping(0, 0)` changes nothing."""

    stretch: float = 0.13  # of the frequencies, at most so much up or down (as a logarithm)
    curve: float = 4.0  # decibels, of each of the curve's cosines at most

    def __call__(
        self, mels: torch.Tensor, hertz: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Log-mels (clips, bins, frames) of Whisper's scale, every clip moved in its own way.

        `hertz` (bins,) are the bins' middle frequencies; numbers come from `generator` (CPU).
        """
        drawn = torch.rand(len(mels), 1 + WAVES, generator=generator) * 2 - 1
        stretch, curve = drawn[:, :1].mul(self.stretch).exp(), drawn[:, 1:].mul(self.curve)
        sources = places(hertz.cpu() * stretch, hertz.cpu()).to(mels.device)
        moved = between(mels, sources)
        sound = ((moved - mels.amin((1, 2), keepdim=True)) / FAINT).clamp(0, 1)
        return moved + sound * curves(curve, mels.shape[1]).to(mels)[..., None]


def middles(extractor: WhisperFeatureExtractor) -> torch.Tensor:
    """The middle frequency of every mel bin, (bins,) in hertz."""
    filters = torch.as_tensor(extractor.mel_filters, dtype=torch.float32)  # (frequencies, bins)
    steps = torch.linspace(0, extractor.sampling_rate / 2, len(filters))
    return (filters * steps[:, None]).sum(0) / filters.sum(0)


def places(wanted: torch.Tensor, hertz: torch.Tensor) -> torch.Tensor:
    """Where `wanted` frequencies lie among the bins, as numbers between bins (same shape)."""
    after = torch.searchsorted(hertz, wanted.contiguous()).clamp(1, len(hertz) - 1)
    low, high = hertz[after - 1], hertz[after]
    return (after - 1 + (wanted - low) / (high - low)).clamp(0, len(hertz) - 1)


def between(mels: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """Log-mels at the places `sources` (clips, bins), linearly from the bins beside them."""
    low = sources.floor().long().clamp(max=mels.shape[1] - 2)
    share = (sources - low)[..., None].to(mels.dtype)
    below, above = (
        mels.gather(1, place[..., None].expand(-1, -1, mels.shape[2])) for place in (low, low + 1)
    )
    return below + share * (above - below)


def curves(heights: torch.Tensor, bins: int) -> torch.Tensor:
    """Smooth log-mel curves (clips, bins), of half waves as high as `heights` (clips, waves)."""
    over = torch.linspace(0, torch.pi, bins)
    waves = torch.stack([(over * number).cos() for number in range(1, heights.shape[1] + 1)])
    return heights @ waves / DECIBELS
