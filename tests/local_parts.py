"""Conversations to ask an engine on the preview checkpoint, with clips made on the spot."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from demo.conversation import from_history
from demo.engine import Conversation, Engine, Options
from demo.local import LocalEngine

RATE = 16_000
GREEDY = Options(max_new_tokens=24, temperature=0)


def tone(pitch: float, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE))
    return drawn.astype(np.float32)


def user(*parts: str) -> dict[str, Any]:
    """A user's turn; what ends in .wav is a clip."""
    content = [{"path": part} if part.endswith(".wav") else part for part in parts]
    return {"role": "user", "content": content}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


CASES: dict[str, tuple[Conversation, list[np.ndarray]]] = {
    "voice": (from_history([user("a.wav")]), [noise(2.1)]),
    "analysis": (from_history([user("a.wav", "What is that sound?")]), [tone(440, 1.0)]),
    "text only": (from_history([user("Hello there, 你好!")], "Be brief."), []),
    "text first": (from_history([user("What is this?", "a.wav")]), [tone(880, 0.1)]),
    "two clips": (
        from_history([user("a.wav", "b.wav", "Which is louder?")]),
        [tone(440, 1.5), noise(0.7)],
    ),
    "several turns": (
        from_history(
            [
                user("a.wav", "What is that?"),
                assistant("A tone."),
                user("And this?", "b.wav"),
                assistant("Some noise."),
                user("Which one came first?"),
            ]
        ),
        [tone(440, 1.5), noise(1.5)],
    ),
    "windows of a long clip": (
        from_history([user("a.wav", "a.wav", "a.wav", "Describe it.")]),
        [noise(30.0, 1), noise(27.25, 2), tone(300, 3.3)],
    ),
}


def reply(engine: Engine, case: str, options: Options) -> str:
    return "".join(engine.stream(*CASES[case], options))


def fail_once(
    engine: LocalEngine,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    times: int = 1,
    after: int = 0,
) -> None:
    """The last layer's forward passes after so many more raise `error`, as a full card would."""
    layer = engine._model.model.language_model.layers[-1]
    forward = layer.forward
    passes = itertools.count(1)

    def failing(*args: Any, **given: Any) -> Any:
        number = next(passes)
        if number >= after + times:
            monkeypatch.setattr(layer, "forward", forward)
        if number <= after:
            return forward(*args, **given)
        raise error

    monkeypatch.setattr(layer, "forward", failing)


def started(engine: Engine, case: str, options: Options, who: str = "") -> Iterator[str]:
    """A reply whose first piece has come."""
    pieces = engine.stream(*CASES[case], options, who)
    while not next(pieces):
        pass
    return pieces
