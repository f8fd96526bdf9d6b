"""What an encoder's frozen layers hear in many clips at once, on windows as short as the longest.

How a short window gives what the model's own 30 s give is `demo.encoder`'s; `store.py` keeps what
is heard here. This module knows nothing of text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import Qwen2AudioEncoder, WhisperFeatureExtractor

from demo.encoder import convolved, encode, layered, log_mels, positions_of, tokens_of
from finetune.warping import Warping, middles


@dataclass(frozen=True, eq=False)
class Listener:
    """An encoder and its feature extractor; the topmost `trained` layers are left to training."""

    encoder: Qwen2AudioEncoder
    extractor: WhisperFeatureExtractor
    trained: int = 0

    @torch.inference_mode()
    def hear(
        self, clips: Sequence[np.ndarray], bf16: bool = False, warping: Warping | None = None
    ) -> list[np.ndarray]:
        """What each clip is to the frozen layers, (frames, width) in float32.

        A frame is an audio token or, where layers are left to training, one of the encoder's
        positions, two to a token. Clips are mono float32 at 16 kHz, at most 30 s; alike lengths
        waste least. With `warping` each is heard as somebody else would have said it.
        """
        where = next(self.encoder.parameters()).device.type
        mels, frames = log_mels(self.extractor, clips, where)
        if warping:
            mels = warping(mels, middles(self.extractor))
        with torch.autocast(where, torch.bfloat16, enabled=bf16):
            rows = self._through(mels, frames)
        length = positions_of if self.trained else tokens_of
        numbers = rows.float().cpu().numpy()
        return [row[: length(own)] for row, own in zip(numbers, frames, strict=True)]

    def _through(self, mels: torch.Tensor, frames: list[int]) -> torch.Tensor:
        if not self.trained:
            return encode(self.encoder, mels, frames)
        frozen = list(self.encoder.layers)[: -self.trained]
        positions = [positions_of(own) for own in frames]
        return layered(self.encoder, frozen, convolved(self.encoder, mels, frames), positions)
