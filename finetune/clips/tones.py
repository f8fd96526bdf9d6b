"""Sounds that machines and instruments make of pitches: tones, sweeps, bells, sirens, strings.

Every maker draws its own parameters from `rng` and gives mono float32 samples at 16 kHz of any
loudness; a maker that has a pitch takes it in hertz, or draws it.
"""

import numpy as np
from scipy.signal import lfilter

from finetune.clips.library import SAMPLE_RATE

Rng = np.random.Generator


def ramp(seconds: float) -> np.ndarray:
    """The moments of a sound, in seconds."""
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def faded(samples: np.ndarray, seconds: float = 0.01) -> np.ndarray:
    """With soft ends, so that there is no click."""
    count = min(int(seconds * SAMPLE_RATE), len(samples) // 2)
    edge = np.linspace(0, 1, count)
    shape = np.concatenate([edge, np.ones(len(samples) - 2 * count), edge[::-1]])
    return (samples * shape).astype(np.float32)


def oscillate(hertz: np.ndarray, shape: str = "sine") -> np.ndarray:
    """A wave that follows a course of frequencies."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    if shape == "square":
        return np.tanh(4 * np.sin(phase))
    if shape == "saw":
        return np.sum([np.sin(n * phase) / n for n in range(1, 7)], axis=0)
    return np.sin(phase)


def log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def tone(rng: Rng, hertz: float | None = None, seconds: float | None = None) -> np.ndarray:
    times = ramp(seconds or rng.uniform(0.6, 4))
    hertz = hertz or log_uniform(rng, 110, 4000)
    return faded(np.sin(2 * np.pi * hertz * times), 0.02)


def sweep(rng: Rng, upward: bool) -> np.ndarray:
    times = ramp(rng.uniform(0.5, 3.5))
    low = log_uniform(rng, 120, 900)
    high = min(low * rng.uniform(2.5, 10), 6500)
    course = np.geomspace(low, high, len(times))
    return faded(oscillate(course if upward else course[::-1]), 0.02)


def rising_sweep(rng: Rng) -> np.ndarray:
    return sweep(rng, upward=True)


def falling_sweep(rng: Rng) -> np.ndarray:
    return sweep(rng, upward=False)


def siren(rng: Rng) -> np.ndarray:
    """Wails slowly up and down, or gives two notes in turn."""
    times = ramp(rng.uniform(2.5, 6))
    low, rate = rng.uniform(420, 750), rng.uniform(0.25, 0.8)
    high = low * rng.uniform(1.4, 2.2)
    swing = 0.5 + 0.5 * np.sin(2 * np.pi * rate * times + rng.uniform(0, 6))
    if rng.random() < 0.35:
        swing = np.round(swing)
    return faded(oscillate(low + (high - low) * swing, rng.choice(["sine", "saw", "square"])), 0.05)


def alarm(rng: Rng) -> np.ndarray:
    """A piercing beep-beep-beep that goes on, in bursts of one to four."""
    hertz, on = rng.uniform(1700, 3400), rng.uniform(0.05, 0.12)
    burst = int(rng.integers(3, 6))
    beep = faded(oscillate(np.full(int(on * SAMPLE_RATE), hertz), "square"), 0.003)
    gap = np.zeros(int(on * rng.uniform(0.6, 1.1) * SAMPLE_RATE))
    rest = np.zeros(int(rng.uniform(0.15, 0.4) * SAMPLE_RATE))
    group = np.concatenate([np.concatenate([beep, gap])] * burst + [rest])
    return np.tile(group, int(rng.integers(4, 7)))[: 5 * SAMPLE_RATE].astype(np.float32)


def phone(rng: Rng) -> np.ndarray:
    """An electric ringing in long bursts: two tones, warbled."""
    first = rng.uniform(420, 1100)
    on, off = rng.uniform(0.8, 1.6), rng.uniform(0.4, 1.2)
    times = ramp(on)
    warble = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * rng.uniform(14, 26) * times))
    pair = np.sin(2 * np.pi * first * times) * warble
    pair += np.sin(2 * np.pi * first * rng.uniform(1.15, 1.35) * times) * (1 - 0.8 * warble)
    ring = np.concatenate([faded(pair), np.zeros(int(off * SAMPLE_RATE))])
    return np.tile(ring, int(rng.integers(1, 3)) + 1)[: int(5.5 * SAMPLE_RATE)].astype(np.float32)


def struck(rng: Rng, hertz: float, seconds: float, partials: list[float]) -> np.ndarray:
    """Partials that ring out, the higher the sooner."""
    times = ramp(seconds)
    mixed = np.zeros(len(times))
    for number, partial in enumerate(partials):
        decay = rng.uniform(0.25, 0.5) * seconds / (1 + 0.5 * number)
        strength = rng.uniform(0.5, 1) / (1 + 0.5 * number)
        mixed += strength * np.sin(2 * np.pi * hertz * partial * times) * np.exp(-times / decay)
    return faded(mixed, 0.002)


def bell(rng: Rng) -> np.ndarray:
    """One stroke or a few of a church, hand or desk bell."""
    partials = [0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.1]
    hertz = log_uniform(rng, 280, 1400)
    strokes = [
        struck(rng, hertz, rng.uniform(1.2, 2.5), partials) for _ in range(rng.integers(1, 4))
    ]
    return np.concatenate(strokes)


def pluck(rng: Rng, hertz: float, seconds: float) -> np.ndarray:
    """A string by Karplus and Strong: a burst of noise that runs round a delay line."""
    period = int(SAMPLE_RATE / hertz)
    burst = np.zeros(int(seconds * SAMPLE_RATE))
    burst[:period] = rng.uniform(-1, 1, period)
    damping = rng.uniform(0.494, 0.4985)
    feedback = np.zeros(period + 2)
    feedback[0], feedback[period], feedback[period + 1] = 1, -damping, -damping
    return faded(np.asarray(lfilter([1.0], feedback, burst)), 0.004)


def guitar(rng: Rng) -> np.ndarray:
    """A few plucked notes of a scale, or a strummed chord."""
    root, scale = rng.uniform(90, 260), [0, 2, 4, 7, 9, 12, 14, 16]
    if rng.random() < 0.3:
        chord = [root * 2 ** (step / 12) for step in (0, 7, 12, 16, 19)]
        notes = [np.pad(pluck(rng, note, 2.0), (400 * n, 0)) for n, note in enumerate(chord)]
        return np.sum([np.pad(note, (0, 34_000 - len(note))) for note in notes], axis=0)
    length = rng.uniform(0.2, 0.5)
    steps = rng.choice(scale, int(rng.integers(4, 9)))
    return np.concatenate([pluck(rng, root * 2 ** (step / 12), length) for step in steps])


def whistle(rng: Rng) -> np.ndarray:
    """A referee's or a mouth's: high, breathy, trembling or gliding."""
    times = ramp(rng.uniform(0.5, 2))
    middle = rng.uniform(1400, 3200)
    tremble = rng.uniform(0, 0.06) * np.sin(2 * np.pi * rng.uniform(18, 40) * times)
    glide = rng.uniform(-0.25, 0.25) * np.sin(np.pi * times / times[-1])
    breath = rng.standard_normal(len(times)) * rng.uniform(0.05, 0.2)
    pure = oscillate(middle * (1 + tremble + glide))
    return faded(pure * (1 + 3 * tremble) + breath, 0.04)


def horn(rng: Rng) -> np.ndarray:
    """A car's: two harsh low notes together, once or twice."""
    low = rng.uniform(300, 480)
    honks = []
    for _ in range(rng.integers(1, 4)):
        course = np.ones(int(rng.uniform(0.25, 1.2) * SAMPLE_RATE))
        both = oscillate(course * low, "saw") + oscillate(course * low * 1.25, "saw")
        honks += [faded(np.tanh(1.5 * both), 0.015), np.zeros(int(rng.uniform(0.08, 0.3) * 16000))]
    return np.concatenate(honks[:-1]).astype(np.float32)
