"""Gathers decoded blocks as mono at the model's rate, and remembers what was wrong with them.

It knows nothing about file formats: blocks of any rate and channel count in, one array out. A long
file never stands in memory at its own rate and width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from demo.hearing.rules import AudioError, Limits, clock
from demo.hearing.windows import SAMPLE_RATE

MIN_RATE, MAX_RATE = 1_000, 1_000_000  # Hz: what a resampler can make sense of
LARGEST = 1e10  # beyond it a sample is no sound on any scale: 32-bit integers reach 2.1e9
SLACK_SECONDS = 1  # codecs pad: what people call ten minutes may be 10:00.02
CUT_OFF_SECONDS = 0.2  # a file this much shorter than its header says is damaged


@dataclass(frozen=True)
class Note:
    """A sentence's key and its values but for the file's name, which the caller knows."""

    key: str
    values: dict[str, Any]


class Tape:
    """What was heard of one file so far, and what its header promises.

    Raises:
        AudioError: the header or the sound is longer than the limit, a rate that cannot be heard,
            samples that are no sound.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._samples = np.empty(SAMPLE_RATE, np.float32)  # a second, and more as it is needed
        self._length = 0
        self._rate = SAMPLE_RATE
        self._resampler: soxr.ResampleStream | None = None
        self.seconds = 0.0  # of sound taken in
        self.promised = 0.0  # seconds that the header speaks of; 0 where it does not
        self.damaged_at: float | None = None  # seconds of sound before the first damage

    def promise(self, seconds: float) -> None:
        """Takes what the header says; a file that is too long is refused before it is decoded."""
        if seconds > self._limits.max_seconds + SLACK_SECONDS:
            length, limit = clock(seconds), self._limits.max_minutes
            raise AudioError("too_long", name=self._name, length=length, limit=limit)
        self.promised = seconds

    def damage(self) -> None:
        """Something could not be decoded here."""
        if self.damaged_at is None:
            self.damaged_at = self.seconds

    def add(self, block: np.ndarray, rate: int) -> None:
        """Takes a float32 block of shape (samples, channels)."""
        self._refuse_what_is_no_sound(block, rate)
        if rate != self._rate:
            self._change_rate(rate)
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
        self.seconds += len(mono) / rate
        if self.seconds > self._limits.max_seconds + SLACK_SECONDS:
            limit = self._limits.max_minutes
            raise AudioError("longer_than_limit", name=self._name, limit=limit)
        if self._resampler:
            mono = self._resampler.resample_chunk(np.ascontiguousarray(mono))
        self._keep(mono)

    def finish(self) -> np.ndarray:
        """All of it; nothing may be added after."""
        self._flush()
        self._samples.resize(self._length, refcheck=False)
        return self._samples

    def notes(self) -> tuple[Note, ...]:
        """What to tell about damage."""
        heard = self.seconds
        if heard < self.promised - CUT_OFF_SECONDS:
            return (Note("cut_off", {"heard": heard, "whole": self.promised}),)
        if self.damaged_at is not None:
            return (Note("damaged", {"first": self.damaged_at, "heard": heard}),)
        return ()

    def _refuse_what_is_no_sound(self, block: np.ndarray, rate: int) -> None:
        good = np.abs(block) < LARGEST  # false for NaN too
        if not good.all():
            seconds = self.seconds + int(np.argmin(good.all(axis=1))) / rate
            raise AudioError("no_sound", name=self._name, seconds=seconds, largest=LARGEST)

    def _change_rate(self, rate: int) -> None:
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(
                "bad_rate", name=self._name, rate=rate, lowest=MIN_RATE, highest=MAX_RATE
            )
        self._flush()
        self._rate = rate
        if rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")

    def _flush(self) -> None:
        if self._resampler:  # it keeps a tail
            self._keep(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        self._resampler = None

    def _keep(self, block: np.ndarray) -> None:
        """Appends, growing in place: joining a list of blocks at the end would need all twice."""
        end = self._length + len(block)
        if end > len(self._samples):
            self._samples.resize(end + end // 2, refcheck=False)
        self._samples[self._length : end] = block
        self._length = end
