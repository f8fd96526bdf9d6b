"""Speech said again by pulses and noise through the same mouth: the sound of older synthesizers.

Linear prediction (J. Makhoul, Linear prediction: a tutorial review, 1975) takes the mouth from a
voice; what it is driven by is made anew, with as much of the intonation as is wanted. One natural
voice gives many robotic ones. This module knows no speakers.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from finetune.clips.library import SAMPLE_RATE

ORDER = 18
HOP = SAMPLE_RATE // 80
FRAME = 2 * HOP
PITCH_FRAME = SAMPLE_RATE // 25
HERTZ = (60, 400)
VOICED = 0.45  # normalized autocorrelation from which a frame counts as voiced


def frames_of(samples: np.ndarray, size: int) -> np.ndarray:
    """Frames of `size` samples around every hop, (frames, size)."""
    padded = np.pad(samples, (size // 2, size))
    return sliding_window_view(padded, size)[::HOP][: len(samples) // HOP]


def autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Of every frame, (frames, lags)."""
    size = frames.shape[1]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), 2 * size)) ** 2
    return np.fft.irfft(power)[:, :size]


def pitches(samples: np.ndarray) -> np.ndarray:
    """Hertz at every hop; 0 where nothing is voiced."""
    lags = autocorrelation(frames_of(samples, PITCH_FRAME))
    low, high = SAMPLE_RATE // HERTZ[1], SAMPLE_RATE // HERTZ[0]
    best = lags[:, low:high].argmax(axis=1) + low
    clear = lags[np.arange(len(lags)), best] > VOICED * (lags[:, 0] + 1e-9)
    return np.where(clear, SAMPLE_RATE / best, 0.0)


def driven(hertz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pulses where there is a pitch, noise elsewhere; power 1."""
    wanted = np.repeat(hertz, HOP)
    phase = np.floor(np.cumsum(wanted) / SAMPLE_RATE)
    pulses = np.diff(phase, prepend=0) * np.sqrt(SAMPLE_RATE / np.maximum(wanted, 1))
    return np.where(wanted > 0, pulses, rng.standard_normal(len(wanted)))


def vocoded(samples: np.ndarray, intonation: float, rng: np.random.Generator) -> np.ndarray:
    """`samples` said again; `intonation` 0 is one tone, 1 the voice's own. Mono, 16 kHz."""
    hertz = pitches(samples)
    if not (hertz > 0).any():
        return samples
    middle = np.median(hertz[hertz > 0])
    sung = np.where(hertz > 0, middle * (np.maximum(hertz, 1) / middle) ** intonation, 0)
    excitation = frames_of(driven(sung, rng), FRAME) * np.hanning(FRAME + 1)[:-1]
    lags = autocorrelation(frames_of(samples, FRAME))[: len(excitation), : ORDER + 1]
    heard = np.zeros(len(samples) + 3 * FRAME, np.float32)
    for at, (lag, pulses) in enumerate(zip(lags, excitation, strict=True)):
        if lag[0] > 1e-6:
            heard[at * HOP : at * HOP + 2 * FRAME] += spoken(lag, pulses)
    return heard[FRAME // 2 : FRAME // 2 + len(samples)]


def spoken(lag: np.ndarray, pulses: np.ndarray) -> np.ndarray:
    """One frame's pulses through its mouth, with the time it takes to die away."""
    regular = lag.copy()
    regular[0] *= 1.0001
    mouth = solve_toeplitz(regular[:ORDER], regular[1:])
    power = max(float(lag[0] - mouth @ lag[1:]), 0.0) / (0.375 * FRAME)  # of a Hann window
    padded = np.pad(pulses, (0, FRAME)) * np.sqrt(power)
    return np.asarray(lfilter([1.0], np.concatenate([[1.0], -mouth]), padded), np.float32)
