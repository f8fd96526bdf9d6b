"""Makes the shards of a library in parallel, and goes on where a stopped run left off."""

import fcntl
import os
import time
from multiprocessing import get_context
from pathlib import Path

from finetune.clips.human import human_clips
from finetune.clips.library import Row, append, finished_shards, write_shard
from finetune.clips.plan import Shard, make_shard, shards

HUMAN = "human"


def make(task: tuple[Path, Shard]) -> list[Row]:
    """Make and write one shard; runs in a worker."""
    folder, shard = task
    return write_shard(folder, shard.name, make_shard(shard))


def make_shards(folder: Path, todo: list[Shard], workers: int) -> None:
    """Make shards in parallel and enter each into the index as it is done."""
    start, made = time.monotonic(), 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers share the cores
    with get_context("spawn").Pool(workers) as pool:
        for rows in pool.imap_unordered(make, [(folder, shard) for shard in todo]):
            append(folder, rows)
            made += len(rows)
            rate = made / (time.monotonic() - start)
            print(f"{made} clips more, {rate:.1f} a second, last {rows[-1]['id']}", flush=True)


def make_library(folder: Path, seed: int, clips: int, workers: int) -> None:
    """Make what is missing of a library: recordings of people first, then shard after shard."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{folder.name}: another run is making this library") from None
        continue_library(folder, seed, clips, workers)


def continue_library(folder: Path, seed: int, clips: int, workers: int) -> None:
    done = finished_shards(folder)
    if HUMAN not in done and (recordings := human_clips()):
        append(folder, write_shard(folder, HUMAN, recordings))
    todo = [shard for shard in shards(clips, seed) if shard.name not in done]
    print(f"{len(done)} shards are there, {len(todo)} to make", flush=True)
    make_shards(folder, todo, workers)
