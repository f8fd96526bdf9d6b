"""A conversation about clips of noise, answered the model card's way and the app's."""

import copy
import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.generation.streamers import BaseStreamer

from demo.attention import avoid_cudnn
from demo.decoding import Pieces
from demo.engine import Conversation, EngineInfo, Options
from demo.local import LocalEngine
from demo.packing import quicken
from demo.warming import compiled_step

RATE = 16_000
QUESTION = "What do you hear in this clip?"


@dataclass(frozen=True)
class Measured:
    """One reply: its tokens, and when each of them was there, in seconds from the request."""

    ids: list[int]
    times: list[float]

    @property
    def first(self) -> float:
        return self.times[0]

    @property
    def per_token(self) -> float:
        return (self.times[-1] - self.times[0]) / max(1, len(self.times) - 1)


class Clock(BaseStreamer):
    """Notes when each token of the model card's way is there."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.times: list[float] = []
        self.ids: list[int] = []
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        if self._prompt_seen:
            self.ids += value.flatten().tolist()
            self.times.append(time.perf_counter() - self.start)
        self._prompt_seen = True

    def end(self) -> None: ...


def card_way(
    model: Any, processor: Any, turns: Conversation, clips: list[np.ndarray], new: int
) -> Measured:
    """The model card's few lines, with today's keyword and the whole batch on the device."""
    clock = Clock()
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    sound = {"audio": clips, "sampling_rate": RATE} if clips else {}
    inputs = processor(text=text, **sound, return_tensors="pt")
    inputs = inputs.to(model.device, model.dtype)
    torch.backends.cuda.enable_cudnn_sdp(True)  # as PyTorch comes
    model.generate(**inputs, max_new_tokens=new, do_sample=False, streamer=clock)
    return Measured(clock.ids, clock.times)


def app_way(
    engine: LocalEngine, turns: Conversation, clips: list[np.ndarray], new: int
) -> Measured:
    """The app's engine, its tokens noted where they become text."""
    avoid_cudnn()
    with noted() as (ids, times):
        start = time.perf_counter()
        for _ in engine.stream(turns, clips, Options(max_new_tokens=new, temperature=0.0)):
            pass
    return Measured(ids, [at - start for at in times])


@contextmanager
def noted() -> Iterator[tuple[list[int], list[float]]]:
    """The tokens that an engine draws, and when."""
    ids: list[int] = []
    times: list[float] = []
    add = Pieces.add

    def noting(self: Pieces, token: int) -> None:
        ids.append(token)
        times.append(time.perf_counter())
        add(self, token)

    Pieces.add = noting
    try:
        yield ids, times
    finally:
        Pieces.add = add


def conversation_of(
    replies: Sequence[str], seconds: float
) -> tuple[Conversation, list[np.ndarray]]:
    """A conversation with these replies and one more question, and its clips."""
    parts = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": QUESTION}]
    turns: Conversation = []
    for reply in replies:
        turns.append({"role": "user", "content": parts})
        turns.append({"role": "assistant", "content": reply})
    rng = np.random.default_rng(0)
    drawn = (rng.normal(0, 0.1, int(seconds * RATE)) for _ in range(len(replies) + 1))
    return [*turns, {"role": "user", "content": parts}], [c.astype(np.float32) for c in drawn]


def engine_of(model: Any, processor: Any, new: int, compile: str = "auto") -> LocalEngine:
    """The app's engine with its own defaults, greedy, on a model that `as_loaded` gave."""
    avoid_cudnn()
    info = EngineInfo("benchmark", str(model.device), str(model.dtype), 8192, False, greedy(new))
    compiled = compile == "on" or (compile == "auto" and model.device.type == "cuda")
    step = compiled_step() if compiled else None
    return LocalEngine(model, processor, info, compiled=step)


def speak_words(model: Any, tokenizer: Any) -> None:
    """Makes replies of whole words that never end by themselves.

    Random weights say bytes that are no text, which the next turn's prompt would not hold as the
    same tokens; what a trained model says is read again as it was drawn.
    """
    texts = (tokenizer.decode([token]) for token in range(len(tokenizer)))
    words = {token for token, text in enumerate(texts) if re.fullmatch(" [a-z]+", text)}
    others = [token for token in range(model.config.text_config.vocab_size) if token not in words]
    with torch.no_grad():
        model.lm_head.weight[others] = 0  # of some hundred words one is always above it
    model.generation_config.eos_token_id = None


def as_loaded(model: Any) -> Any:
    """The model as the app would have loaded it; the one handed in stays as the card has it."""
    return quicken(copy.deepcopy(model)) if model.device.type == "cpu" else model


def greedy(new: int) -> Options:
    return Options(new, temperature=0.0, top_p=1.0, top_k=50, repetition_penalty=1.0)


def machine(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
