"""What a frozen encoder hears in many clips at once, on windows as short as the longest of them.

How a short window gives what the model's own 30 s give is `demo.encoder`'s; `store.py` keeps what
is heard here. This module knows nothing of text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import Qwen2AudioEncoder, WhisperFeatureExtractor

from demo.encoder import encode, log_mel, mel_frames, tokens_of


@dataclass(frozen=True, eq=False)
class Listener:
    """An encoder and its feature extractor."""

    encoder: Qwen2AudioEncoder
    extractor: WhisperFeatureExtractor

    @torch.inference_mode()
    def hear(self, clips: Sequence[np.ndarray], bf16: bool = False) -> list[np.ndarray]:
        """The encoder's output for each clip, (audio tokens, width) in float32.

        Clips are mono float32 at 16 kHz, at most 30 s; alike lengths waste least.
        """
        room = max(mel_frames(self.extractor, clip) for clip in clips)
        heard = [log_mel(self.extractor, clip, room) for clip in clips]
        frames = [own for _, own in heard]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            rows = encode(self.encoder, torch.stack([mel for mel, _ in heard]), frames)
        return [
            row[: tokens_of(own)].float().numpy() for row, own in zip(rows, frames, strict=True)
        ]
