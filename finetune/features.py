"""What a frozen encoder hears in a clip, computed on a window as short as the clip.

The model pads each clip to 30 s, but honours the mask: convolutions, layers and pooling give the
same on the clip's own frames and a small margin, many times faster. This module knows nothing of
text; `store.py` keeps what it computes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import Qwen2AudioEncoder, WhisperFeatureExtractor

HOP = 160  # samples in a mel frame, 10 ms at 16 kHz
MARGIN = 2  # frames past the clip's end that the convolutions see
WINDOW_FRAMES = 3000  # the model's own window of 30 s
SPARE = 8  # frames cut off again: the spectrum's last ones are mirrored at the padding's end


def mel_frames(samples: int) -> int:
    """How many mel frames the model's processor gives a clip of so many samples."""
    return -(-min(samples, WINDOW_FRAMES * HOP) // HOP)


def audio_tokens(samples: int) -> int:
    """How many `<|AUDIO|>` tokens a clip of so many samples takes: 25 a second."""
    return ((mel_frames(samples) - 1) // 2 + 1 - 2) // 2 + 1


@dataclass(frozen=True, eq=False)
class Listener:
    """An encoder and its feature extractor, for many clips at once."""

    encoder: Qwen2AudioEncoder
    extractor: WhisperFeatureExtractor

    @torch.inference_mode()
    def hear(self, clips: Sequence[np.ndarray], bf16: bool = False) -> list[np.ndarray]:
        """The encoder's output for each clip, (audio tokens, width) in float32.

        Clips are mono float32 at 16 kHz, at most 30 s; alike lengths waste least.
        """
        lengths = [mel_frames(len(clip)) for clip in clips]
        window = min(-(-(max(lengths) + MARGIN) // 4) * 4, WINDOW_FRAMES)
        mel = torch.from_numpy(np.stack([self._mel(clip, window) for clip in clips]))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            heard = self._encode(mel, torch.tensor(lengths))
        counts = [audio_tokens(len(clip)) for clip in clips]
        return [row[:count].float().numpy() for row, count in zip(heard, counts, strict=True)]

    def _mel(self, clip: np.ndarray, window: int) -> np.ndarray:
        features = self.extractor(
            clip,
            sampling_rate=self.extractor.sampling_rate,
            padding="max_length",
            max_length=min(window + SPARE, WINDOW_FRAMES) * HOP,
            return_tensors="np",
        )
        return features["input_features"][0][:, :window]

    def _encode(self, mel: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The encoder's forward pass without its demand for 3000 frames."""
        encoder = self.encoder
        hidden = torch.nn.functional.gelu(encoder.conv1(mel))
        hidden = torch.nn.functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        heard = torch.arange(hidden.shape[1])[None] < ((lengths - 1) // 2 + 1)[:, None]
        mask = torch.zeros(heard.shape).masked_fill(~heard, torch.finfo(torch.float32).min)
        for layer in encoder.layers:
            hidden = layer(hidden, mask[:, None, None, :])
        pooled = encoder.avg_pooler(hidden.permute(0, 2, 1)).permute(0, 2, 1)
        return encoder.layer_norm(pooled)
