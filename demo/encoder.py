"""Clips' embeddings, computed on their own frames instead of a padded 30 s window.

The tower's `forward` takes 3000 frames only, and its mask hides the padding again; its submodules
take any length. Running them on the clips' frames and a margin gives the same numbers (3e-6 in
float32) in a fraction of the time. This module knows nothing of text, caches or generation.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from transformers.masking_utils import create_bidirectional_mask

MARGIN_FRAMES = 2  # the second convolution looks one output, two frames, past the clip's end
MEL_MARGIN_FRAMES = 8  # so that the last frames' spectra see zeros, as in the padded window


def log_mel(extractor: Any, samples: np.ndarray, device: str = "cpu") -> tuple[torch.Tensor, int]:
    """The clip's log-mel spectrogram (mel bins, frames + margin) and its own number of frames.

    `samples` are mono float32 at the extractor's rate, at most its window long. `device` is where
    it is computed; it comes back on the CPU.
    """
    mels, frames = log_mels(extractor, [samples], device)
    return mels[0], frames[0]


def log_mels(
    extractor: Any, clips: Sequence[np.ndarray], device: str = "cpu"
) -> tuple[torch.Tensor, list[int]]:
    """The same of several clips, as long as the longest: (clips, mel bins, frames), and frames."""
    frames = [mel_frames(extractor, clip) for clip in clips]
    padded = min(max(frames) + MEL_MARGIN_FRAMES, extractor.nb_max_frames)
    features = extractor(
        list(clips),
        sampling_rate=extractor.sampling_rate,
        padding="max_length",
        max_length=padded * extractor.hop_length,
        return_tensors="pt",
        device=device,
    )
    return features["input_features"], frames


def mel_frames(extractor: Any, samples: np.ndarray) -> int:
    """How many mel frames a window has of its own; a frame begun is a frame."""
    return -(-min(len(samples), extractor.n_samples) // extractor.hop_length)


def tokens_of(frames: int) -> int:
    """How many `<|AUDIO|>` tokens a clip of so many mel frames becomes."""
    return positions_of(frames) // 2


@torch.inference_mode()
def embed(model: Any, mel: torch.Tensor, frames: int) -> torch.Tensor:
    """The clip's embeddings in the decoder's space: (audio tokens, hidden)."""
    return embed_together(model, mel[None], [frames])[0]


@torch.inference_mode()
def embed_together(model: Any, mels: torch.Tensor, frames: Sequence[int]) -> list[torch.Tensor]:
    """The same of several clips, `mels` and `frames` as `encode` takes them."""
    projected = model.model.multi_modal_projector(encode(model.model.audio_tower, mels, frames))
    return [one[: tokens_of(count)] for one, count in zip(projected, frames, strict=True)]


@torch.inference_mode()
def encode(tower: Any, mels: torch.Tensor, frames: Sequence[int]) -> torch.Tensor:
    """The tower's output for several clips: (clips, audio tokens of the longest, width).

    `mels` are (clips, mel bins, frames) with a margin; `frames` says how many are each clip's own.
    """
    positions = [positions_of(count) for count in frames]
    return pooled(tower, layered(tower, tower.layers, convolved(tower, mels, frames), positions))


def positions_of(frames: int) -> int:
    """How many positions of the tower's layers a clip of so many mel frames takes."""
    return (frames - 1) // 2 + 1


def convolved(tower: Any, mels: torch.Tensor, frames: Sequence[int]) -> torch.Tensor:
    """What the tower's layers start from: (clips, positions, width)."""
    width = min(-(-(max(frames) + MARGIN_FRAMES) // 4) * 4, mels.shape[-1])
    weight = tower.conv1.weight
    hidden = mels[:, :, :width].to(weight.device, weight.dtype)
    hidden = torch.nn.functional.gelu(tower.conv1(hidden))
    hidden = torch.nn.functional.gelu(tower.conv2(hidden)).permute(0, 2, 1)
    return hidden + tower.embed_positions.weight[: hidden.shape[1]]


def layered(
    tower: Any, layers: Iterable[Any], hidden: torch.Tensor, positions: Sequence[int]
) -> torch.Tensor:
    """`hidden` (clips, positions, width) after some of the tower's layers, clips kept apart."""
    own = torch.tensor(positions, device=hidden.device)
    heard = torch.arange(hidden.shape[1], device=hidden.device) < own[:, None]
    mask = create_bidirectional_mask(
        config=tower.config, inputs_embeds=hidden, attention_mask=heard.long()
    )
    for layer in layers:
        hidden = layer(hidden, mask)
    return hidden


def pooled(tower: Any, hidden: torch.Tensor) -> torch.Tensor:
    """The tower's output from its last layer's: (clips, audio tokens, width)."""
    return tower.layer_norm(tower.avg_pooler(hidden.permute(0, 2, 1)).permute(0, 2, 1))
