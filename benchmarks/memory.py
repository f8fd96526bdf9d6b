"""How much memory each way takes over the weights, at its peak, in a process of its own.

On the CPU that is resident memory, whose peak Linux can reset; on CUDA what torch has allocated.
"""

import argparse
import gc
import os
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import torch

from benchmarks.shapes import build
from benchmarks.talking import (
    app_way,
    as_loaded,
    card_way,
    conversation_of,
    engine_of,
    speak_words,
)

Way = Literal["card", "app"]
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_over_weights(way: Way, replies: list[str], options: argparse.Namespace) -> int:
    """Bytes at the peak of the conversation with these `replies`, all turns of it."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (way, replies, options))


def _peak(way: Way, replies: list[str], options: argparse.Namespace) -> int:
    torch.set_num_threads(options.threads)
    model, processor = build(options.shape, options.device, getattr(torch, options.dtype))
    speak_words(model, processor.tokenizer)
    model = as_loaded(model) if way == "app" else model
    gc.collect()
    before = _now(options.device)
    with closing(engine_of(model, processor, options.tokens, options.compile)) as engine:
        # The card's way keeps nothing: its peak is that of the last turn.
        for turn in range(len(replies) + 1) if way == "app" else [len(replies)]:
            turns, clips = conversation_of(replies[:turn], options.seconds)
            if way == "app":
                app_way(engine, turns, clips, options.tokens)
            else:
                card_way(model, processor, turns, clips, options.tokens)
    return _highest(options.device) - before


def _now(device: str) -> int:
    """What is held now; the peak begins anew."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    RESET.write_text("5")
    return _line("VmRSS")


def _highest(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device.startswith("cuda") else _line("VmHWM")


def _line(name: str) -> int:
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def available() -> bool:
    """Whether this machine can tell: Linux, or CUDA."""
    return os.access(RESET, os.W_OK)
