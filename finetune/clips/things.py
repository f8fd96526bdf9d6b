"""Sounds of things: engines, glass, clocks, doors, steps, drums, keys. Parameters from `rng`."""

import numpy as np

from finetune.clips.augment import band_limited, coloured_noise
from finetune.clips.library import SAMPLE_RATE
from finetune.clips.nature import resonant, scatter
from finetune.clips.tones import Rng, faded, log_uniform, oscillate, ramp


def engine(rng: Rng) -> np.ndarray:
    """A motor that idles or revs: a low rough buzz of firings."""
    times = ramp(rng.uniform(2, 5))
    firing = log_uniform(rng, 22, 75)
    revs = 1 + rng.uniform(0, 0.8) * np.sin(np.pi * times / times[-1]) ** 2
    phase = 2 * np.pi * np.cumsum(firing * revs) / SAMPLE_RATE
    buzz = sum(np.sin(n * phase + rng.uniform(0, 6)) / n**0.7 for n in range(1, 14))
    rough = coloured_noise(len(times), 1, rng) * (1 + 0.8 * np.sin(phase)) * 0.4
    return faded(band_limited(np.tanh(buzz * 0.6) + rough, 30, rng.uniform(700, 1800)), 0.1)


def glass(rng: Rng) -> np.ndarray:
    """A smash, then splinters that ring and fall."""
    seconds = rng.uniform(0.9, 2)
    times = ramp(0.12)
    smash = rng.standard_normal(len(times)) * np.exp(-times * rng.uniform(25, 50)) * 2
    pieces = [(0.02, band_limited(smash, 1500, 7500))]
    for _ in range(rng.integers(25, 60)):
        ring = ramp(rng.uniform(0.05, 0.25))
        splinter = np.sin(2 * np.pi * rng.uniform(2200, 7200) * ring) * np.exp(-ring * 30)
        moment = 0.02 + rng.exponential(seconds / 4)
        pieces.append((moment, splinter * rng.uniform(0.1, 0.6) * np.exp(-moment)))
    return scatter(seconds, pieces)


def click(rng: Rng, hertz: float, decay: float) -> np.ndarray:
    """A short dry knock of a resonance; `decay` in seconds."""
    times = ramp(decay * 6)
    body = np.sin(2 * np.pi * hertz * times) + 0.5 * rng.standard_normal(len(times))
    return faded(body * np.exp(-times / decay), 0.001)


def clock(rng: Rng) -> np.ndarray:
    """Tick, tock: dry high clicks, one or two a second, all alike."""
    period, hertz = rng.choice([0.5, 1.0, 0.4]) * rng.uniform(0.97, 1.03), rng.uniform(1800, 4200)
    tick, tock = click(rng, hertz, 0.004), click(rng, hertz * rng.uniform(0.7, 0.95), 0.005)
    count = int(rng.uniform(2.5, 5) / period)
    return scatter(count * period, [(0.02 + n * period, (tick, tock)[n % 2]) for n in range(count)])


def knock(rng: Rng) -> np.ndarray:
    """One knuckle on one door."""
    times = ramp(0.12)
    wood = rng.uniform(140, 420)
    body = sum(
        np.sin(2 * np.pi * wood * part * times) * np.exp(-times * 35 * part) / part
        for part in (1, 1.6, 2.7, 4.2)
    )
    slap = resonant(rng.standard_normal(len(times)) * np.exp(-times * 300), 1200, 700)
    return faded(body + slap, 0.001)


def knocking(rng: Rng) -> np.ndarray:
    """Some quick knocks, the same hand and door."""
    one, gap = knock(rng), rng.uniform(0.16, 0.4)
    count = int(rng.integers(2, 7))
    moments = [0.02 + n * gap * rng.uniform(0.97, 1.03) for n in range(count)]
    return scatter(count * gap + 0.2, [(m, one * rng.uniform(0.7, 1)) for m in moments])


def footsteps(rng: Rng) -> np.ndarray:
    """Heel and toe on a floor, at a walker's pace."""
    pace, floor, steps = rng.uniform(0.42, 0.72), rng.uniform(90, 200), []
    grit, count = rng.uniform(0.2, 0.8), int(rng.integers(4, 9))
    for number in range(count):
        moment = 0.02 + number * pace * rng.uniform(0.98, 1.02)
        heel = click(rng, floor * rng.uniform(0.9, 1.1), 0.02)
        times = ramp(0.09)
        scrape = band_limited(rng.standard_normal(len(times)), 600, 3500) * np.exp(-times * 40)
        steps += [(moment, heel), (moment + 0.07, faded(scrape * grit, 0.01))]
    return scatter(count * pace, steps)


def drum(rng: Rng) -> np.ndarray:
    """A beat of bass drum and snare."""
    pace, low, hits = rng.uniform(0.2, 0.38), rng.uniform(55, 110), []
    times = ramp(0.25)
    kick = np.sin(2 * np.pi * low * np.cumsum(1 + 2 * np.exp(-times * 40)) / SAMPLE_RATE)
    kick = kick * np.exp(-times * 14) * 1.5
    snare = (rng.standard_normal(len(times)) + np.sin(2 * np.pi * 190 * times)) * np.exp(
        -times * 20
    )
    pattern = rng.choice(["k-s-k-s-", "kks-k-s-", "k-sskks-", "k-k-s-k-", "kskskkss"])
    beats = pattern * int(rng.integers(1, 3))
    for number, beat in enumerate(beats):
        if beat != "-":
            hits.append((0.01 + number * pace, kick if beat == "k" else 0.7 * snare))
    return scatter(len(beats) * pace + 0.2, hits)


def typing(rng: Rng) -> np.ndarray:
    """Keys of a keyboard in uneven quick clicks."""
    keys, moment = [], 0.02
    for _ in range(rng.integers(10, 30)):
        press = click(rng, rng.uniform(1100, 3200), rng.uniform(0.003, 0.007))
        keys.append((moment, press * rng.uniform(0.4, 1)))
        keys.append((moment + 0.05, click(rng, rng.uniform(1500, 3500), 0.002) * 0.3))
        moment += rng.choice([rng.uniform(0.07, 0.16), rng.uniform(0.2, 0.5)], p=[0.85, 0.15])
    return scatter(moment, keys)


def helicopter(rng: Rng) -> np.ndarray:
    """Blades that beat the air ten to eighteen times a second."""
    times = ramp(rng.uniform(2.5, 5))
    chop = np.maximum(0, np.sin(np.pi * rng.uniform(10, 18) * times)) ** 6
    air = band_limited(coloured_noise(len(times), 1.2, rng), 50, rng.uniform(600, 1400))
    return faded(air * (0.15 + chop) * 2, 0.1)


def drill(rng: Rng) -> np.ndarray:
    """An electric tool: a harsh whine that speeds up, holds and slows down."""
    times = ramp(rng.uniform(1.5, 3.5))
    part = times / times[-1]
    speed = np.minimum(1, np.minimum(part / 0.12, (1 - part) / 0.12 + 0.3))
    course = rng.uniform(380, 900) * speed * (1 + 0.01 * rng.standard_normal(len(times)))
    whine = np.tanh(3 * oscillate(course, "saw")) + 0.35 * rng.standard_normal(len(times))
    return faded(band_limited(whine, 250, 6000) * speed, 0.05)


def silence(rng: Rng) -> np.ndarray:
    """Nothing, or next to nothing: at most the faint hiss of a microphone."""
    count = int(rng.uniform(0.6, 5) * SAMPLE_RATE)
    if rng.random() < 0.4:
        return np.zeros(count, np.float32)
    floor = 10 ** (rng.uniform(-90, -66) / 20)
    return coloured_noise(count, rng.choice([0, 1, 2]), rng) * np.float32(floor)
