"""Fills a feature store: every clip that is asked for and not there yet is heard once."""

import time
from collections.abc import Callable, Iterable

import numpy as np

from finetune.features import Listener
from finetune.store import FeatureStore

Read = Callable[[str], np.ndarray]
CHUNK = 2048  # clips read at a time, to be heard with others of like length
BATCH_SAMPLES = {"cpu": 64 * 16_000, "cuda": 1024 * 16_000}


def fill(
    store: FeatureStore, urls: Iterable[str], read: Read, listener: Listener, bf16: bool = True
) -> None:
    """Hear what `store` lacks; goes on where a stopped run left off."""
    missing = [url for url in dict.fromkeys(urls) if url not in store]
    most = BATCH_SAMPLES[next(listener.encoder.parameters()).device.type]
    started = time.monotonic()
    for start in range(0, len(missing), CHUNK):
        chunk = sorted(((read(url), url) for url in missing[start : start + CHUNK]), key=_length)
        while chunk:
            count = max(1, most // len(chunk[-1][0]))
            batch, chunk = chunk[-count:], chunk[:-count]
            store.add([url for _, url in batch], listener.hear([clip for clip, _ in batch], bf16))
        done = min(start + CHUNK, len(missing))
        print(
            f"heard {done} of {len(missing)} clips, {time.monotonic() - started:.0f} s", flush=True
        )


def _length(clip: tuple[np.ndarray, str]) -> int:
    return len(clip[0])
