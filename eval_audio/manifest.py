"""Manifests of the original project, read as they are: JSON lines of clip, prompt and reference.

A line of most tasks has `audio`, `prompt`, `gt` and `source`; one of `chat` has `audio`, `id` and
`query`. A line that is none of it becomes a `BadRow`: it is counted, and stops nothing. This module
opens no sound and knows no model.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Compared = Literal["asr", "s2tt", "ser", "vsc"]
Task = Literal[Compared, "chat"]
TASKS: tuple[Task, ...] = ("asr", "s2tt", "ser", "vsc", "chat")
Form = Literal["chat", "raw"]
"""How a prompt is shown to a model: as a turn of a conversation, or bare after its clip."""
AUDIO = "<|AUDIO|>"


class EvalError(Exception):
    """A run cannot be done as it was asked for; told in one sentence."""


@dataclass(frozen=True)
class Row:
    """A line that can be asked about."""

    number: int  # of the line, from 1
    audio: str
    prompt: str
    reference: str | None  # None where there is nothing to compare with, as in chat
    source: str  # the group that it is scored in
    fields: dict[str, Any] = field(default_factory=dict)  # the line as it stands


@dataclass(frozen=True)
class BadRow:
    """A line that cannot."""

    number: int
    error: str
    source: str


def read(path: Path, task: Task) -> list[Row | BadRow]:
    """Every line of the manifest that is not blank, in order.

    Raises:
        EvalError: there is no such file, or nothing in it.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise EvalError(f"{path.name} cannot be read: {error.strerror}.") from error
    rows = [
        _row(line, number, task, path.stem) for number, line in enumerate(lines, 1) if line.strip()
    ]
    if not rows:
        raise EvalError(f"{path.name} has no line in it. A line is one JSON object.")
    return rows


def _row(line: bytes, number: int, task: Task, stem: str) -> Row | BadRow:
    source = stem
    try:
        fields = _object(line)
        source = str(fields.get("source") or stem)
        return _checked(fields, number, task, source)
    except ValueError as error:
        return BadRow(number, f"Line {number} {error}.", source)


def _object(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
        json.dumps(fields, ensure_ascii=False).encode()  # half a character cannot be written again
    except (ValueError, RecursionError):
        raise ValueError("is no JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise ValueError("is no JSON object")
    return fields


def _checked(fields: dict[str, Any], number: int, task: Task, source: str) -> Row:
    """Raises ValueError with the end of a sentence that begins with the line's number."""
    chat = task == "chat"
    prompt = _text(fields, "query" if chat else "prompt")
    if prompt.count(AUDIO) > 1:
        raise ValueError(f"has {prompt.count(AUDIO)} {AUDIO} in its prompt; a row has one clip")
    reference = None if chat else _text(fields, "gt", blank=True)
    if chat:
        _text(fields, "id")
    audio = _text(fields, "audio")
    return Row(number, audio, prompt, reference, source, fields)


def _text(fields: dict[str, Any], name: str, blank: bool = False) -> str:
    value = fields.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not (blank or value.strip()):
        raise ValueError(f"has no {name}")
    return value
