"""Cuts long audio into windows that the model can hear, at the quietest points.

It knows nothing about files: samples in, views of the same samples out, none lost or changed.
"""

import numpy as np

SAMPLE_RATE = 16_000  # Hz: what the model hears
WINDOW_SECONDS = 30
WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE  # 480000: the model cuts what is longer, silently
SEARCH_SECONDS = 5  # a cut lies within the last 5 s of a window
SEARCH_SAMPLES = SEARCH_SECONDS * SAMPLE_RATE
TAIL_SAMPLES = SAMPLE_RATE // 2  # 8000: no window of a long clip is under half a second
FRAME_SAMPLES = SAMPLE_RATE // 10  # 1600: a pause between words is longer than 0.1 s
HOP_SAMPLES = SAMPLE_RATE // 100  # 160


def split(samples: np.ndarray) -> list[np.ndarray]:
    """Windows of at most 30 s whose concatenation is `samples`; one window where they fit."""
    windows = []
    while len(samples) > WINDOW_SAMPLES:
        cut = _quietest_cut(samples)
        windows.append(samples[:cut])
        samples = samples[cut:]
    return [*windows, samples]


def _quietest_cut(samples: np.ndarray) -> int:
    """Where the next window of `samples` (longer than one) ends; the latest of equal places."""
    latest = min(WINDOW_SAMPLES, len(samples) - TAIL_SAMPLES)
    earliest = latest - SEARCH_SAMPLES
    half = FRAME_SAMPLES // 2
    search = samples[earliest - half : latest + half]
    frames = np.lib.stride_tricks.sliding_window_view(search, FRAME_SAMPLES)[::HOP_SAMPLES]
    energy = np.einsum("ij,ij->i", frames, frames)
    quietest = len(energy) - 1 - int(np.argmin(energy[::-1]))
    return earliest + quietest * HOP_SAMPLES
