"""Sounds of weather, animals and people. Each maker draws its own parameters from `rng`."""

import numpy as np
from scipy.signal import lfilter

from finetune.clips.augment import band_limited, coloured_noise
from finetune.clips.library import SAMPLE_RATE
from finetune.clips.tones import Rng, faded, oscillate, ramp


def scatter(total: float, events: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Short sounds laid over one another at their moments, cut at `total` seconds."""
    mixed = np.zeros(int(total * SAMPLE_RATE), np.float32)
    for moment, event in events:
        start = int(moment * SAMPLE_RATE)
        piece = event[: max(0, len(mixed) - start)]
        mixed[start : start + len(piece)] += piece
    return mixed


def resonant(samples: np.ndarray, hertz: float, width: float) -> np.ndarray:
    """Through one resonance, as of a mouth or a box."""
    radius = np.exp(-np.pi * width / SAMPLE_RATE)
    turn = 2 * np.pi * hertz / SAMPLE_RATE
    heard = lfilter([1 - radius], [1, -2 * radius * np.cos(turn), radius**2], samples)
    return np.asarray(heard)


def white_noise(rng: Rng) -> np.ndarray:
    return faded(coloured_noise(int(rng.uniform(0.8, 4) * SAMPLE_RATE), 0, rng), 0.02)


def wind(rng: Rng) -> np.ndarray:
    """Low noise that swells and howls a little."""
    count = int(rng.uniform(2.5, 5) * SAMPLE_RATE)
    gusts = np.interp(np.linspace(0, 5, count), np.arange(6), rng.uniform(0.15, 1, 6))
    base = band_limited(coloured_noise(count, 1.6, rng), 60, rng.uniform(500, 900))
    howl = resonant(rng.standard_normal(count), rng.uniform(300, 700), 60)
    return faded((base + 0.6 * howl / howl.std()) * gusts**1.5, 0.2)


def rain(rng: Rng) -> np.ndarray:
    """A hiss of many fine drops, some nearer ones among them."""
    seconds = rng.uniform(2, 5)
    count = int(seconds * SAMPLE_RATE)
    hiss = band_limited(coloured_noise(count, 0.4, rng), 800, 7000) * rng.uniform(0.25, 0.5)
    near = []
    for _ in range(int(seconds * rng.uniform(40, 110))):
        times = ramp(0.008)
        tick = np.exp(-times * 700) * rng.standard_normal(len(times)) * rng.uniform(0.5, 3)
        near.append((rng.uniform(0, seconds), tick))
    return faded(hiss + scatter(seconds, near)[:count], 0.1)


def thunder(rng: Rng) -> np.ndarray:
    """A crack and a long low roll."""
    times = ramp(rng.uniform(2.5, 5.5))
    rolls = np.interp(times, np.linspace(0, times[-1], 9), rng.uniform(0.2, 1, 9))
    roll = coloured_noise(len(times), 2.2, rng) * rolls * np.exp(-times / rng.uniform(1.2, 2.5))
    crack = rng.standard_normal(len(times)) * np.exp(-times / 0.06) * rng.uniform(0.3, 1.2)
    return faded(band_limited(roll + crack, 25, 1800), 0.02)


def water(rng: Rng) -> np.ndarray:
    """Drops into a basin: each a short rising blip, slowly one after another."""
    gap, drops, moment = rng.uniform(0.3, 0.8), [], 0.05
    base = rng.uniform(600, 1500)
    for _ in range(rng.integers(3, 8)):
        times = ramp(rng.uniform(0.04, 0.09))
        course = base * rng.uniform(0.8, 1.3) * (1 + times / times[-1] * rng.uniform(0.4, 1.2))
        drops.append((moment, oscillate(course) * np.exp(-times * 45)))
        moment += gap * rng.uniform(0.7, 1.3)
    return scatter(moment + 0.1, drops)


def waves(rng: Rng) -> np.ndarray:
    """The sea: noise that comes and goes every few seconds and brightens as it breaks."""
    times = ramp(rng.uniform(4, 6))
    rate = rng.uniform(0.25, 0.4)
    swell = (0.5 - 0.5 * np.cos(2 * np.pi * rate * times + rng.uniform(0, 6))) ** 2
    deep = band_limited(coloured_noise(len(times), 1.2, rng), 60, 1500)
    foam = band_limited(coloured_noise(len(times), 0.2, rng), 1500, 6000)
    return faded(deep * (0.2 + swell) + foam * swell**2 * 0.8, 0.2)


def fire(rng: Rng) -> np.ndarray:
    """Crackles of very different strength over a soft low roar."""
    seconds = rng.uniform(2.5, 5)
    roar = band_limited(coloured_noise(int(seconds * SAMPLE_RATE), 1.5, rng), 40, 500) * 0.05
    pops = []
    for _ in range(int(seconds * rng.uniform(8, 18))):
        times = ramp(rng.uniform(0.003, 0.015))
        pop = rng.standard_normal(len(times)) * np.exp(-times * 400) * rng.exponential(1.0)
        pops.append((rng.uniform(0, seconds), pop))
    return faded(roar + scatter(seconds, pops)[: len(roar)], 0.05)


def dog(rng: Rng) -> np.ndarray:
    """Barks: short, harsh, falling, with an open mouth."""
    base, barks, moment = rng.uniform(220, 520), [], 0.02
    mouth = rng.uniform(700, 1300)
    for _ in range(rng.integers(2, 6)):
        times = ramp(rng.uniform(0.12, 0.22))
        part = times / times[-1]
        course = base * (0.8 + 0.7 * np.sin(np.pi * part) - 0.3 * part)
        voice = oscillate(course, "saw") + 0.5 * rng.standard_normal(len(times))
        bark = resonant(voice, mouth, 250) + 0.5 * resonant(voice, mouth * 2.1, 400)
        barks.append((moment, faded(bark * np.sin(np.pi * part) ** 0.5, 0.01)))
        moment += rng.uniform(0.28, 0.6)
    return scatter(moment, barks)


def cat(rng: Rng) -> np.ndarray:
    """Meows: long, nasal, up and then down, the mouth opening and closing."""
    meows = []
    for _ in range(rng.integers(1, 4)):
        times = ramp(rng.uniform(0.5, 1.0))
        part = times / times[-1]
        course = rng.uniform(420, 700) * (1 + rng.uniform(0.2, 0.6) * np.sin(np.pi * part**0.7))
        voice = oscillate(course * (1 + 0.01 * np.sin(2 * np.pi * 7 * times)), "saw")
        closed, opened = resonant(voice, 900, 200), resonant(voice, rng.uniform(1500, 2200), 250)
        opening = np.sin(np.pi * part) ** 2
        meows.append(
            faded((closed * (1 - opening) + 2 * opened * opening) * np.sin(np.pi * part), 0.03)
        )
        meows.append(np.zeros(int(rng.uniform(0.2, 0.5) * SAMPLE_RATE)))
    return np.concatenate(meows[:-1]).astype(np.float32)


def bird(rng: Rng) -> np.ndarray:
    """Chirps high up: quick trills and slides, in groups."""
    chirps, moment = [], 0.02
    base = rng.uniform(2400, 4800)
    for _ in range(rng.integers(4, 12)):
        times = ramp(rng.uniform(0.04, 0.16))
        slide = 1 + rng.uniform(-0.3, 0.3) * times / times[-1]
        trill = 1 + rng.uniform(0, 0.1) * np.sin(2 * np.pi * rng.uniform(25, 60) * times)
        chirp = faded(oscillate(np.minimum(base * rng.uniform(0.85, 1.2) * slide * trill, 7200)))
        chirps.append((moment, chirp))
        moment += times[-1] + rng.choice([0.03, 0.06, 0.3], p=[0.4, 0.4, 0.2])
    return scatter(moment + 0.1, chirps)


def frog(rng: Rng) -> np.ndarray:
    """Croaks: low pulses in a row, in a throat."""
    croaks, moment = [], 0.02
    rate, throat = rng.uniform(28, 55), rng.uniform(400, 800)
    for _ in range(rng.integers(2, 5)):
        times = ramp(rng.uniform(0.25, 0.5))
        pulses = np.maximum(0, np.sin(2 * np.pi * rate * times)) ** 12
        croak = resonant(pulses * rng.standard_normal(len(times)), throat, 90)
        croaks.append((moment, faded(croak / (croak.std() + 1e-9), 0.04)))
        moment += times[-1] + rng.uniform(0.15, 0.5)
    return scatter(moment, croaks)


def laughter(rng: Rng) -> np.ndarray:
    """Ha, ha, ha: voiced bursts after a breath, falling in pitch."""
    pitch, gap = rng.choice([rng.uniform(130, 190), rng.uniform(230, 340)]), rng.uniform(0.16, 0.24)
    bursts = []
    for number in range(rng.integers(4, 10)):
        times = ramp(gap * 0.62)
        part = times / times[-1]
        course = pitch * (1.15 - 0.03 * number) * (1.1 - 0.25 * part)
        voice = oscillate(course, "saw") * (part > 0.25)
        voice = voice + 0.25 * rng.standard_normal(len(times)) * (part < 0.4)
        mouth = resonant(voice, 750, 130) + 0.7 * resonant(voice, 1250, 160)
        mouth += 0.3 * resonant(voice, 2600, 250)
        bursts.append((number * gap, faded(mouth * np.sin(np.pi * part), 0.01)))
    return scatter(len(bursts) * gap + 0.1, bursts)


def applause(rng: Rng) -> np.ndarray:
    """Many hands, each at its own pace."""
    seconds, claps = rng.uniform(2, 5), []
    for _ in range(rng.integers(10, 40)):
        pace, hand = rng.uniform(0.18, 0.32), rng.uniform(900, 2600)
        times = ramp(0.02)
        clap = resonant(rng.standard_normal(len(times)) * np.exp(-times * 250), hand, 500)
        strength, moment = rng.uniform(0.3, 1), rng.uniform(0, pace)
        while moment < seconds:
            claps.append((moment, clap * strength))
            moment += pace * rng.uniform(0.9, 1.1)
    return faded(scatter(seconds, claps), 0.2)


def heartbeat(rng: Rng) -> np.ndarray:
    """Lub-dub, lub-dub: two dull low thumps close together, then a rest."""
    period, low, beats = rng.uniform(0.65, 1.1), rng.uniform(45, 75), []
    thump, count = ramp(0.12), int(rng.integers(3, 6))
    for number in range(count):
        for moment, pitch, strength in ((0, 1.0, 1.0), (0.28 * period, 1.25, 0.7)):
            beat = np.sin(2 * np.pi * low * pitch * thump) * np.exp(-thump * 28) * strength
            beats.append((0.02 + number * period + moment, faded(beat, 0.004)))
    return scatter(period * count, beats)
