"""Fills a feature store: every clip that is asked for and not there yet is heard once.

Speech may be heard several times, each but the first warped into somebody else's.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from finetune.features import Listener
from finetune.store import FeatureStore, variant_key
from finetune.warping import Warping

Read = Callable[[str], np.ndarray]
CHUNK = 2048  # clips read at a time, to be heard with others of like length
BATCH_SAMPLES = {"cpu": 64 * 16_000, "cuda": 1024 * 16_000}


@dataclass(frozen=True)
class Variants:
    """How many warped variants of a clip are heard beside it, where it `is_speech`."""

    count: int = 0
    is_speech: Callable[[str], bool] = lambda url: True
    warping: Warping = Warping()

    def wanted(self, url: str) -> int:
        """How many times a clip is to be heard."""
        return 1 + self.count * self.is_speech(url)


def fill(
    store: FeatureStore,
    urls: Iterable[str],
    read: Read,
    listener: Listener,
    bf16: bool = True,
    variants: Variants | None = None,
) -> None:
    """Hear what `store` lacks; goes on where a stopped run left off."""
    variants = variants or Variants()
    missing = [url for url in dict.fromkeys(urls) if url not in store]
    most = BATCH_SAMPLES[next(listener.encoder.parameters()).device.type]
    started = time.monotonic()
    for start in range(0, len(missing), CHUNK):
        chunk = sorted(((read(url), url) for url in missing[start : start + CHUNK]), key=_length)
        while chunk:
            count = max(1, most // len(chunk[-1][0]))
            batch, chunk = chunk[-count:], chunk[:-count]
            _hear(store, batch, listener, bf16, variants)
        done = min(start + CHUNK, len(missing))
        print(
            f"heard {done} of {len(missing)} clips, {time.monotonic() - started:.0f} s", flush=True
        )


def _hear(
    store: FeatureStore,
    batch: list[tuple[np.ndarray, str]],
    listener: Listener,
    bf16: bool,
    variants: Variants,
) -> None:
    """A batch's variants first, so that a clip that is in the store has all of them there."""
    wanted = [(clip, url, variants.wanted(url)) for clip, url in batch]
    for number in reversed(range(1 + variants.count)):
        now = [(clip, url) for clip, url, count in wanted if number < count]
        if now:
            warping = variants.warping if number else None
            heard = listener.hear([clip for clip, _ in now], bf16, warping)
            store.add([variant_key(url, number) for _, url in now], heard)


def _length(clip: tuple[np.ndarray, str]) -> int:
    return len(clip[0])
