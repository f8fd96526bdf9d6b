"""A conversation and its options in the form of OpenAI's chat API; pure.

Sounds go as WAV of 32-bit floating point at 16 kHz, so that a server hears exactly what the
engine on this machine would.
"""

import io
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile

from demo.engine import Conversation, Options

SAMPLE_RATE = 16_000


def messages(conversation: Conversation, windows: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """The turns as messages, each audio part with its sound from `windows` (mono, 16 kHz)."""
    sounds = iter(windows)
    return [{**turn, "content": _content(turn["content"], sounds)} for turn in conversation]


def parameters(options: Options) -> dict[str, Any]:
    """The options that are set; what OpenAI's API does not know goes into the body beside it."""
    known = {
        "max_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "seed": options.seed,
    }
    beside = {"top_k": options.top_k, "repetition_penalty": options.repetition_penalty}
    extra = _given(beside)
    return {**_given(known), **({"extra_body": extra} if extra else {})}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _content(content: Any, sounds: Iterator[np.ndarray]) -> Any:
    if isinstance(content, str):
        return content
    return [
        _heard(next(sounds)) if part["type"] == "audio" else {"type": "text", "text": part["text"]}
        for part in content
    ]


def _heard(window: np.ndarray) -> dict[str, Any]:
    file = io.BytesIO()
    soundfile.write(file, window, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    data = b64encode(file.getvalue()).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
