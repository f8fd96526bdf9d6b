"""Spoils sound files at random and sees what the decoder makes of them.

`python -m tests.fuzz --minutes 10` does so in a sandbox; what ends its process, takes too long,
or is neither a sound nor a sentence is written to a folder, and the exit status is 1. It prints one
line of JSON.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from demo.audio import AudioError, Limits
from demo.hearing.sandbox import Sandbox, SandboxError
from tests.sounds import by_av, by_soundfile, tone, wav

Rng = np.random.Generator
LIMITS = Limits(1.0)
SECONDS = 10.0  # for one file of a few kilobytes
EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def seeds() -> list[bytes]:
    """Sound files of the kinds that people have, short ones."""
    sound = tone()[:6400]
    return [
        *(wav(sound, subtype) for subtype in ("FLOAT", "PCM_16", "PCM_24", "ULAW", "IMA_ADPCM")),
        *(by_soundfile(kind, sub, sound) for kind, sub in (
            ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
            ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16"))),
        *(by_av(kind, codec, samples=sound) for kind, codec in (
            ("mp4", "aac"), ("matroska", "pcm_s16le"), ("adts", "aac"))),
        by_av("webm", "libopus", rate=48_000, samples=sound),
    ]  # fmt: skip


def flipped(data: bytearray, rng: Rng) -> bytearray:
    for place in rng.integers(0, len(data), rng.integers(1, 20)):
        data[place] ^= 1 << int(rng.integers(8))
    return data


def edged(data: bytearray, rng: Rng) -> bytearray:
    """Numbers of a head at their limits."""
    start = int(rng.integers(0, min(len(data), 200)))
    data[start : start + int(rng.choice([1, 2, 4, 8]))] = bytes([int(rng.choice(EDGES))]) * 4
    return data


def cut(data: bytearray, rng: Rng) -> bytearray:
    start, end = sorted(rng.integers(0, len(data), 2))
    del data[start:end]
    return data


def doubled(data: bytearray, rng: Rng) -> bytearray:
    start, end = sorted(rng.integers(0, len(data), 2))
    data[end:end] = data[start:end]
    return data


def noisy(data: bytearray, rng: Rng) -> bytearray:
    start = int(rng.integers(0, len(data)))
    noise = rng.bytes(int(rng.integers(1, 64)))
    data[start : start + len(noise)] = noise
    return data


SPOILS: tuple[Callable[[bytearray, Rng], bytearray], ...] = (flipped, edged, cut, doubled, noisy)


def spoiled(found: list[bytes], seed: int) -> bytes:
    """The file of a number: one of `found`, or two of them in one, spoiled a few times."""
    rng = np.random.default_rng(seed)
    data = bytearray(found[int(rng.integers(len(found)))])
    if rng.random() < 0.1:
        other = found[int(rng.integers(len(found)))]
        data[int(rng.integers(len(data))) :] = other[int(rng.integers(len(other))) :]
    for _ in range(int(rng.integers(1, 5))):
        data = SPOILS[int(rng.integers(len(SPOILS)))](data, rng) or bytearray(b"x")
    return bytes(data)


def outcomes(sandbox: Sandbox, first: int, enough: Callable[[int], bool]) -> Iterator[tuple]:
    """(number, file, outcome, whether it is a fault) of one file after another."""
    found, number = seeds(), first
    while not enough(number - first):
        file = spoiled(found, number)
        try:
            sound = sandbox.decode(file, "spoiled", LIMITS)
            good = bool(np.isfinite(sound.samples).all()) and sound.samples.ndim == 1
            yield number, file, "heard" if good else "no finite samples", not good
        except SandboxError as error:
            yield number, file, error.key, True
        except AudioError as error:
            yield number, file, error.key, False
        except Exception as error:  # what no file may raise
            yield number, file, type(error).__name__, True
        number += 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first file")
    parser.add_argument("--faults", type=Path, default=Path("runs/faults"))
    options = parser.parse_args(arguments)
    sandbox = Sandbox(workers=1, seconds=SECONDS)
    end, counts, faults = time.monotonic() + 60 * options.minutes, Counter[str](), 0
    for number, file, outcome, fault in outcomes(
        sandbox, options.seed, lambda _: time.monotonic() > end
    ):
        counts[outcome] += 1
        if fault:
            faults += 1
            options.faults.mkdir(parents=True, exist_ok=True)
            (options.faults / f"{number}-{outcome}").write_bytes(file)
    sandbox.close()
    told = {"minutes": options.minutes, "first": options.seed, "files": counts.total()}
    print(json.dumps({**told, "faults": faults, "outcomes": dict(counts.most_common())}))
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
