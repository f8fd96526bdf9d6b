"""What a synthesizer is asked for, and what it gives, whichever it is."""

from dataclasses import dataclass

import numpy as np
import soxr

from finetune.clips.accents import Accent
from finetune.clips.library import SAMPLE_RATE


class SynthesisError(RuntimeError):
    """A synthesizer is missing or made no sound."""


@dataclass(frozen=True)
class Utterance:
    """What one speaker is to say, and how.

    `tempo` is relative to the voice's own (1.2 is faster) as heard after the shift; `pitch` is
    espeak-ng's 0 to 99 and `accent` is espeak-ng's and hibari's; `noise` is piper's variability.
    `tone` and `melody` are hibari's: what its pitch is multiplied with while its mouth stays, and
    how far it goes up and down (0 not, 1 as ever). With an `intonation` the voice goes through a
    vocoder.
    """

    synthesizer: str
    voice: str
    text: str
    shift: float = 1.0
    tempo: float = 1.0
    pitch: int = 50
    noise: float = 0.667
    accent: Accent = ()
    tone: float = 1.0
    melody: float = 1.0
    intonation: float | None = None


def resampled(samples: np.ndarray, rate: float, shift: float) -> np.ndarray:
    """To 16 kHz, with pitch and formants moved by `shift` (and the tempo with them)."""
    return soxr.resample(samples.astype(np.float32) / 32768, rate * shift, SAMPLE_RATE, "MQ")
