"""A clip's embeddings, computed on the clip's own frames instead of a padded 30 s window.

The tower's `forward` takes 3000 frames only, and its mask hides the padding again; its submodules
take any length. Running them on the clip's frames and a margin gives the same numbers (3e-6 in
float32) in a fraction of the time. This module knows nothing of text, caches or generation.
"""

from typing import Any

import numpy as np
import torch
from transformers.masking_utils import create_bidirectional_mask

MARGIN_FRAMES = 2  # the second convolution looks one output, two frames, past the clip's end
MEL_MARGIN_FRAMES = 8  # so that the last frames' spectra see zeros, as in the padded window


def log_mel(extractor: Any, samples: np.ndarray) -> tuple[torch.Tensor, int]:
    """The clip's log-mel spectrogram (mel bins, frames + margin) and its own number of frames.

    `samples` are mono float32 at the extractor's rate, at most its window long.
    """
    hop, frames = extractor.hop_length, mel_frames(extractor, samples)
    padded = min(frames + MEL_MARGIN_FRAMES, extractor.nb_max_frames)
    features = extractor(
        samples,
        sampling_rate=extractor.sampling_rate,
        padding="max_length",
        max_length=padded * hop,
        return_tensors="pt",
    )
    return features["input_features"][0], frames


def mel_frames(extractor: Any, samples: np.ndarray) -> int:
    """How many mel frames a window has of its own; a frame begun is a frame."""
    return -(-min(len(samples), extractor.n_samples) // extractor.hop_length)


def tokens_of(frames: int) -> int:
    """How many `<|AUDIO|>` tokens a clip of so many mel frames becomes."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


@torch.inference_mode()
def embed(model: Any, mel: torch.Tensor, frames: int) -> torch.Tensor:
    """The clip's embeddings in the decoder's space: (audio tokens, hidden)."""
    tower, projector = model.model.audio_tower, model.model.multi_modal_projector
    width = min(-(-(frames + MARGIN_FRAMES) // 4) * 4, mel.shape[-1])
    weight = tower.conv1.weight
    hidden = mel[None, :, :width].to(weight.device, weight.dtype)
    hidden = torch.nn.functional.gelu(tower.conv1(hidden))
    hidden = torch.nn.functional.gelu(tower.conv2(hidden)).permute(0, 2, 1)
    hidden = hidden + tower.embed_positions.weight[: hidden.shape[1]]
    own = torch.arange(hidden.shape[1], device=hidden.device) < (frames - 1) // 2 + 1
    mask = create_bidirectional_mask(
        config=tower.config, inputs_embeds=hidden, attention_mask=own[None].long()
    )
    for layer in tower.layers:
        hidden = layer(hidden, mask)
    hidden = tower.avg_pooler(hidden.permute(0, 2, 1)).permute(0, 2, 1)
    return projector(tower.layer_norm(hidden))[0, : tokens_of(frames)]
