"""Turns an open file into samples: mono float32 at the model's rate, plus what to say about it.

soundfile reads what it knows, bit for bit; `demo.hearing.ffmpeg` reads the rest, and what
soundfile finds damaged. It knows nothing about names on disk, URLs or caches, and keeps nothing
between two calls of `decode`: that can as well run in another process.
"""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import soundfile

from demo.hearing import ffmpeg
from demo.hearing.rules import AudioError, Limits, clock
from demo.hearing.tape import Note, Tape
from demo.hearing.windows import SAMPLE_RATE

MIN_SECONDS = 0.1  # 10 log-mel frames, 2 <|AUDIO|> tokens: the least that the model hears
MIN_SAMPLES = round(MIN_SECONDS * SAMPLE_RATE)
BLOCK_VALUES = 1 << 18  # samples of all channels decoded at a time: 1 MiB as float32
SILENCE_PEAK = 1e-4  # -80 dB of full level: three steps of 16 bits
LOUDEST_PEAK = 2.0  # above it a file is not loud but on another scale, as of integers
MORE_SECONDS = 0.1  # a second reading of a damaged file must hear this much more to be worth it
STREAMED_BYTES = 0x7FFF_0000  # recorders that cannot go back write "as long as can be"
UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's word for a flac whose head does not say, as of a stream

# What soundfile may open: the formats that people have, not every one of libsndfile's.
FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"}
CUT_CHUNK = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")


@dataclass(frozen=True)
class Sound:
    samples: np.ndarray  # mono float32 at SAMPLE_RATE, at least MIN_SAMPLES
    notes: tuple[Note, ...]


def decode(file: BinaryIO, name: str, limits: Limits) -> Sound:
    """What `file`, open at its beginning, sounds like.

    Raises:
        AudioError: no sound file, no sound in it, longer than the limit, samples that are no sound.
    """
    tape = _best_reading(file, name, limits)
    notes = tape.notes()
    samples = tape.finish()
    if not len(samples):
        raise AudioError("no_samples", name=name)
    samples, more = _level(samples, name)
    return Sound(samples, (*notes, *more))


def _best_reading(file: BinaryIO, name: str, limits: Limits) -> Tape:
    """What soundfile reads, or FFmpeg where soundfile reads nothing, or damage and less."""
    first = Tape(name, limits)
    known = _read_with_soundfile(file, first)
    if known and first.seconds and not first.notes():
        return first
    file.seek(0)
    second = Tape(name, limits)
    try:
        ffmpeg.read(file, name, second)
    except AudioError as error:
        if known and error.key in ("not_audio", "broken"):
            return first
        raise
    if not first.seconds or second.seconds > first.seconds + MORE_SECONDS:
        return second
    return first


def _read_with_soundfile(file: BinaryIO, tape: Tape) -> bool:
    """False where soundfile does not know the file."""
    source: Any = _Seekable(file)
    try:
        sound = soundfile.SoundFile(source)
    except soundfile.LibsndfileError:
        return False
    with sound:
        if sound.format not in FORMATS:
            return False
        tape.promise(_promised(sound))
        try:
            for block in _blocks(sound):
                tape.add(block, sound.samplerate)
        except soundfile.LibsndfileError:
            tape.damage()
    return True


class _Seekable:
    """A file in which libsndfile may seek before the start, as it does where a header lies.

    Python would raise in libsndfile's callback, where nobody can catch it. A file's name is not
    passed on either: soundfile would take x.raw for raw samples.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with suppress(ValueError, OSError):
            self._file.seek(offset, whence)
        return self.tell()


def _blocks(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    frames = max(1, BLOCK_VALUES // sound.channels)
    while len(block := sound.read(frames, dtype="float32", always_2d=True)):
        yield block


def _promised(sound: soundfile.SoundFile) -> float:
    """How many seconds the header says; libsndfile only logs a chunk that the file cannot hold."""
    if sound.frames == UNKNOWN_FRAMES:
        return 0.0
    seconds = sound.frames / sound.samplerate
    found = CUT_CHUNK.search(sound.extra_info)
    if not found:
        return seconds
    said, there = map(int, found.groups())
    if said >= STREAMED_BYTES or said <= there:
        return seconds
    return seconds * said / max(there, 1)


def _level(samples: np.ndarray, name: str) -> tuple[np.ndarray, list[Note]]:
    """`samples` on the scale of 1 and long enough, and what was wrong with them."""
    seconds = len(samples) / SAMPLE_RATE
    peak = max(float(samples.max()), -float(samples.min()))
    short = {"milliseconds": 1000 * seconds, "minimum": MIN_SECONDS}
    silent = peak < SILENCE_PEAK
    if silent and seconds < MIN_SECONDS:
        raise AudioError("nothing_heard", name=name, **short)
    notes = []
    if silent:
        notes.append(Note("silence", {"length": clock(seconds)}))
    if peak > LOUDEST_PEAK:
        samples = samples / np.float32(peak)
        notes.append(Note("out_of_range", {"peak": peak}))
    if seconds < MIN_SECONDS:
        samples = np.pad(samples, (0, MIN_SAMPLES - len(samples)))
        notes.append(Note("padded", short))
    return samples, notes
