"""Chat history <-> conversation: the page's turns in the form of the model card, and back.

Pure functions: they know no torch, no gradio and no sound, and they change nothing that they are
given. A history is what Gradio's Chatbot hands to a function; a conversation is what the chat
template takes. What must hold of a turn wherever it comes from stands in `demo.turns`.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.addresses import is_outside
from demo.engine import Conversation
from demo.turns import (
    ConversationError,
    audio_part,
    checked_turn,
    content_of,
    escape,
    joined,
    parts_of,
    require_moderate,
    role_of,
    short,
    text_part,
    turns_in,
    unescape,
)

if TYPE_CHECKING:
    from demo.audio import Clip

__all__ = [
    "ConversationError",
    "check",
    "escape",
    "from_history",
    "to_history",
    "unescape",
    "with_windows",
]


def from_history(history: Sequence[dict[str, Any]], system: str | None = None) -> Conversation:
    """The conversation of a Chatbot's history, its clips as `audio_url` = the file's path.

    Messages of one role that follow each other become one turn, their parts in order. Left out:
    blank messages (a reply stopped before its first word), the page's own notes (messages whose
    metadata have a title: thoughts, errors), and clips in an assistant's message,
    which the model cannot have said. `system` goes first; where it is blank, a system message
    at the start of the history does.

    Raises:
        ConversationError: a message of a shape that the Chatbot does not produce.
    """
    said = [
        (role_of(message, number), parts)
        for number, message in enumerate(history, 1)
        if not _is_note(message) and (parts := list(_history_parts(message, number)))
    ]
    given = [("system", [text_part(system)])] if system and system.strip() else []
    if given and said and said[0][0] == "system":
        said = said[1:]
    turns = [
        {"role": role, "content": content_of(role, joined(parts for _, parts in group))}
        for role, group in groupby([*given, *said], key=lambda one: one[0])
    ]
    for number, turn in enumerate(turns, 1):
        if turn["role"] == "system" and number > 1:
            raise ConversationError("system", turn=number)
    require_moderate(turns)
    return turns


def to_history(conversation: Conversation) -> list[dict[str, Any]]:
    """The Chatbot's value that `from_history` makes `conversation` of."""
    return [
        {"role": turn["role"], "content": [_shown(part) for part in parts_of(turn)]}
        for turn in conversation
    ]


def with_windows(
    conversation: Conversation, hear: Callable[[str], "Clip"]
) -> tuple[Conversation, list[np.ndarray], list["Clip"]]:
    """The conversation with one audio part for each window of its clips.

    Returns it with the windows, in the order of the `<|AUDIO|>` tokens, and the clips heard.
    What `hear` raises is not caught.
    """
    windows: list[np.ndarray] = []
    clips: list[Clip] = []

    def heard(part: dict[str, Any]) -> list[dict[str, Any]]:
        if part["type"] != "audio":
            return [part]
        clip = hear(part["audio_url"])
        cut = clip.windows()
        clips.append(clip)
        windows.extend(cut)
        return [dict(part) for _ in cut]

    turns = [
        turn
        if isinstance(turn["content"], str)
        else {**turn, "content": [one for part in turn["content"] for one in heard(part)]}
        for turn in conversation
    ]
    return turns, windows, clips


def check(conversation: object) -> Conversation:
    """The conversation that came from outside, escaped and in the model card's exact form.

    An `audio_url` is an http(s) or data: URL, or the file object of an upload, which Gradio has
    already found in its own upload folder; a bare path is refused, or the API would read any
    file of this machine.

    Raises:
        ConversationError: what is wrong, with the turn's number and the value.
    """
    turns = [_checked_turn(turn, number) for number, turn in enumerate(turns_in(conversation), 1)]
    last = turns[-1]
    if last["role"] != "user":
        raise ConversationError("last", turn=len(turns), value=short(last["role"]))
    if not any(part.get("text", "a clip").strip() for part in parts_of(last)):
        raise ConversationError("blank", turn=len(turns))
    require_moderate(turns)
    return turns


def _is_note(message: dict[str, Any]) -> bool:
    return bool((message.get("metadata") or {}).get("title"))


def _history_parts(message: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """The parts of one Chatbot message that the model gets, blank ones left out."""
    content = message["content"]
    for part in content if isinstance(content, list) else [content]:
        match part:
            case str(text) | {"type": "text", "text": str(text)}:
                if text.strip():
                    yield text_part(text)
            case _ if message["role"] != "user":
                continue
            case {"file": {"path": str(path)}} | {"path": str(path)}:
                yield audio_part(path)
            case _:
                raise ConversationError("part", turn=number, value=short(part))


def _shown(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "audio":
        return {"type": "file", "file": {"path": part["audio_url"]}}
    return {"type": "text", "text": unescape(part["text"])}


def _checked_turn(turn: object, number: int) -> dict[str, Any]:
    role, parts = checked_turn(turn, number, _checked_part)
    return {"role": role, "content": content_of(role, joined([parts]))}


def _checked_part(part: object, role: str, number: int) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text)}:
            return text_part(text)
        case {"type": "audio", "audio_url": url} if role == "user":
            return audio_part(_checked_url(url, number))
        case _:
            raise ConversationError("part", turn=number, value=short(part))


def _checked_url(url: object, number: int) -> str:
    match url:
        case str() if is_outside(url):
            return url
        case {"path": str(path), "meta": {"_type": "gradio.FileData"}}:
            return path
        case _:
            raise ConversationError("audio_url", turn=number, value=short(url))
