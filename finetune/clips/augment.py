"""What happens to a clip between a mouth and a file: room, noise, telephone, level, silence.

`Treatment.drawn` decides, `Treatment.applied` does it; both know nothing of what is heard. About
a third of all clips stay nearly clean. Loudness is measured over the loud part of a clip, so that
silence around it does not count.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from scipy.signal import fftconvolve

from finetune.clips.library import SAMPLE_RATE

Level = Literal["quiet", "normal", "loud"]
LEVELS_DB: dict[Level, tuple[float, float]] = {
    "quiet": (-48, -38),
    "normal": (-29, -18),
    "loud": (-12, -8),
}
"""Decibels below full scale of the loud part; the gaps keep the labels apart."""

SHORTEST_SAMPLES = SAMPLE_RATE * 2 // 5

BANDS = {"telephone": (300, 3400), "muffled": (0, 2600), "narrow": (120, 5000)}


def loudness(samples: np.ndarray) -> float:
    """Decibels below full scale of the loudest third of a clip's 20 ms frames."""
    size = SAMPLE_RATE // 50
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    powers = np.sort(np.square(frames).mean(axis=1)) if len(frames) else np.square(samples)
    loudest = powers[-max(1, len(powers) // 3) :]
    return float(10 * np.log10(loudest.mean() + 1e-12))


def fast_size(count: int) -> int:
    """At least `count`, and without the large prime factors that make a Fourier transform slow."""
    return -(-count // 4096) * 4096


def coloured_noise(count: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with frequency**slope: 0 white, 1 pink, 2 brown; RMS 1."""
    if not slope:
        return rng.standard_normal(count, np.float32)
    size = fast_size(count)
    spectrum = np.fft.rfft(rng.standard_normal(size, np.float32))
    frequencies = np.arange(len(spectrum), dtype=np.float32) + 4
    shaped = np.fft.irfft(spectrum * frequencies ** np.float32(-slope / 2), size)[:count]
    return (shaped / (shaped.std() + 1e-9)).astype(np.float32)


def hum(count: int, rng: np.random.Generator) -> np.ndarray:
    """Mains hum with its harmonics; RMS 1."""
    times = np.arange(count) / SAMPLE_RATE
    base = rng.choice([50, 60])
    parts = [np.sin(2 * np.pi * base * n * times + rng.uniform(0, 6)) / n for n in range(1, 6)]
    mixed = np.sum(parts, axis=0)
    return (mixed / mixed.std()).astype(np.float32)


def babble(count: int, rng: np.random.Generator) -> np.ndarray:
    """Something like many people at once: speech-shaped noise in syllables; RMS 1."""
    mixed = np.zeros(count, np.float32)
    for _ in range(3):
        syllables = rng.uniform(0, 1, count // 2500 + 3)
        envelope = np.interp(np.arange(count) / 2500, np.arange(len(syllables)), syllables)
        mixed += band_limited(coloured_noise(count, 1.0, rng), 150, 3500) * envelope**2
    return mixed / (mixed.std() + 1e-9)


def band_limited(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    """Without what lies outside a band of frequencies; soft edges."""
    size = fast_size(len(samples))
    spectrum = np.fft.rfft(samples, size)
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    gain = 1 / (1 + (frequencies / high) ** 16)
    if low:
        gain *= 1 - 1 / (1 + (frequencies / low) ** 8)
    return np.fft.irfft(spectrum * gain, size)[: len(samples)].astype(np.float32)


def in_a_room(samples: np.ndarray, decay: float, rng: np.random.Generator) -> np.ndarray:
    """With an echo that falls by 60 dB in `decay` seconds, some of it early and strong."""
    times = np.arange(int(decay * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(times)) * np.exp(-6.9 * times / decay)
    tail *= rng.uniform(0.2, 0.7) / (np.sqrt(np.square(tail).sum()) + 1e-9)
    tail[0] = 1.0
    heard = fftconvolve(samples, tail)[: len(samples) + len(tail) // 3]
    return heard.astype(np.float32)


def mu_law(samples: np.ndarray) -> np.ndarray:
    """As a telephone exchange hears it: eight bits a sample, finer where it is quiet."""
    peak = np.abs(samples).max() + 1e-9
    squeezed = np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / np.log1p(255)
    coarse = np.round(squeezed * 127) / 127
    return (np.sign(coarse) * np.expm1(np.abs(coarse) * np.log1p(255)) / 255 * peak).astype(
        np.float32
    )


@dataclass(frozen=True)
class Treatment:
    """What is done to one clip; zero, None and False mean nothing."""

    level: Level
    level_db: float
    room: float = 0.0
    noise: str | None = None
    snr_db: float = 0.0
    band: str | None = None
    clipped: bool = False
    mu_law: bool = False
    before: float = 0.0
    after: float = 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator, gentle: bool = False) -> "Treatment":
        """Draw one. `gentle` is for sounds, whose colour and echo are what they are known by."""
        level: Level = rng.choice(["quiet", "normal", "loud"], p=[0.12, 0.74, 0.14])
        chosen = {"level": level, "level_db": round(rng.uniform(*LEVELS_DB[level]), 1)}
        chosen |= {"before": round(rng.uniform(0, 0.5), 3), "after": round(rng.uniform(0, 0.5), 3)}
        if rng.random() < 0.34:
            return cls(**chosen)
        if rng.random() < (0.2 if gentle else 0.4):
            chosen["room"] = round(rng.uniform(0.1, 0.3 if gentle else 0.7), 2)
        if rng.random() < (0.3 if gentle else 0.55):
            chosen["noise"] = str(rng.choice(["white", "pink", "brown", "babble", "hum"]))
            chosen["snr_db"] = round(rng.uniform(18, 34) if gentle else rng.uniform(6, 30), 1)
        if not gentle and rng.random() < 0.25:
            chosen["band"] = str(rng.choice(list(BANDS)))
        if not gentle:
            chosen |= {"clipped": rng.random() < 0.07, "mu_law": rng.random() < 0.08}
        return cls(**chosen)

    def applied(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The clip as it is heard after all of it."""
        heard = in_a_room(samples, self.room, rng) if self.room else samples
        lead, tail = int(self.before * SAMPLE_RATE), int(self.after * SAMPLE_RATE)
        tail = max(tail, SHORTEST_SAMPLES - lead - len(heard))
        heard = np.pad(heard, (lead, tail)).astype(np.float32)
        if self.noise:
            strength = 10 ** ((loudness(heard) - self.snr_db) / 20)
            heard = heard + noise(self.noise, len(heard), rng) * np.float32(strength)
        if self.band:
            heard = band_limited(heard, *BANDS[self.band])
        if self.mu_law:
            heard = mu_law(heard)
        if self.clipped:
            limit = np.quantile(np.abs(heard), 0.985)
            heard = np.clip(heard, -limit, limit)
        return at_level(heard, self.level_db)

    def as_row(self) -> dict[str, object]:
        """What the index says of it: only what was done."""
        return {key: value for key, value in asdict(self).items() if value not in (0, None, False)}


def noise(name: str, count: int, rng: np.random.Generator) -> np.ndarray:
    slopes = {"white": 0.0, "pink": 1.0, "brown": 2.0}
    if name in slopes:
        return coloured_noise(count, slopes[name], rng)
    return (babble if name == "babble" else hum)(count, rng)


def at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """At a loudness, its peaks rounded off where they would not fit."""
    louder = samples * np.float32(10 ** ((level_db - loudness(samples)) / 20))
    over = np.abs(louder) > 0.8
    soft = np.sign(louder) * (0.8 + 0.19 * np.tanh((np.abs(louder) - 0.8) / 0.19))
    return np.where(over, soft, louder).astype(np.float32)
