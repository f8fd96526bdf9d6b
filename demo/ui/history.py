"""The Chatbot's value, read and rebuilt: turns, notes, undo, what is kept over a reload.

The Chatbot's value is the only history. Of one send, the clips are one message and the words the
next, because Gradio's editor replaces the whole message that it edits: so the clips stay. Notes
(messages whose metadata have a title) are the page's own words, which the model never gets.
Pure functions: they know no engine, and change nothing that they are given.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from demo.messages import Language, Message
from demo.ui.strings import SENTENCES

History = list[dict[str, Any]]

PLAYED = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
    ".mp4": "video/mp4",
}
KEPT_CHARACTERS = 400_000  # of a conversation's JSON; a browser keeps about 5 million in all


def user_turn(text: str, paths: Sequence[str]) -> History:
    """What one send adds to the history: its clips, then its words."""
    clips = [{"role": "user", "content": [_file(path) for path in paths]}] if paths else []
    words = [{"role": "user", "content": [_words(text)]}] if text.strip() else []
    return [*clips, *words]


def said(text: str) -> History:
    """A reply's message; none where nothing was said."""
    return [{"role": "assistant", "content": [_words(text)]}] if text else []


def note(title: str, kind: str, pending: bool = False, role: str = "assistant") -> dict[str, Any]:
    """A line of the page's own in the chat; `kind` is what tells the notes apart.

    An error has no status, by which the style sheet knows it.
    """
    status = {} if kind == "error" else {"status": "pending" if pending else "done"}
    return {
        "role": role,
        "content": [_words("")],
        "metadata": {"title": title, "id": kind, **status},
    }


def kind_of(message: dict[str, Any]) -> str | None:
    """The kind of a note; None for what a person or the model said."""
    metadata = message.get("metadata") or {}
    return str(metadata.get("id")) if metadata.get("title") else None


def text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    parts = content if isinstance(content, list) else [content]
    return "".join(
        part if isinstance(part, str) else part.get("text", "") if "text" in part else ""
        for part in parts
    )


def words_of(messages: History) -> str:
    """What was typed in the messages."""
    return "\n".join(text for message in messages if (text := text_of(message)))


def paths_of(messages: History) -> list[str]:
    """The files of the messages' clips, in order."""
    return [
        part["file"]["path"]
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if isinstance(part, dict) and "file" in part
    ]


def split(history: History, index: int | None = None) -> tuple[History, History, History]:
    """The history before the user's turn at message `index` (the last one), the turn, the rest."""
    end = len(history) if index is None else index + 1
    while end < len(history) and history[end]["role"] == "user":
        end += 1
    while end and history[end - 1]["role"] != "user":
        end -= 1
    start = end
    while start and history[start - 1]["role"] == "user":
        start -= 1
    return history[:start], history[start:end], history[end:]


def answered_only(history: History) -> History:
    """The history for the model: a user's turn that never got a reply is left out, but the last."""
    before, turn, _ = split(history)
    kept = turn
    while before:
        before, earlier, replies = split(before)
        if has_words(replies):
            kept = [*earlier, *replies, *kept]
        elif not earlier:
            kept = [*replies, *kept]
    return kept


def has_words(replies: History) -> bool:
    """Whether the model said something in the messages."""
    return any(kind_of(reply) is None and text_of(reply).strip() for reply in replies)


def edited(history: History, index: int, text: str) -> History:
    """The history up to the user's turn at message `index`, which now says `text`."""
    changed = [*history]
    changed[index] = {**history[index], "content": [_words(text)]}
    before, turn, _ = split(changed, index)
    left = (one for one in turn if paths_of([one]) or text_of(one) or kind_of(one) == "gone")
    return [*before, *left]


def settled(history: History, language: Language) -> History:
    """The history without a note that still waits for something: its turn has been stopped."""
    if not history or kind_of(history[-1]) != "pending":
        return history
    stopped = Message(SENTENCES, "stopped").say(language)
    return [*history[:-1], note(stopped, "stopped")]


def without_pending(history: History) -> History:
    """The history without the note at its end that something is on its way."""
    return history[:-1] if history and kind_of(history[-1]) == "pending" else history


def failure(history: History) -> str | None:
    """Why the last turn got no reply, as it was told; None where it got one."""
    if history and kind_of(history[-1]) == "error":
        return str(history[-1]["metadata"]["title"])
    return None


def kept(history: History, limit: int = KEPT_CHARACTERS) -> History:
    """What a browser keeps: the newest turns whose JSON has at most `limit` characters.

    Of a clip only its path stays, in a form that Gradio does not take for a file of its own:
    whether it may be served again is asked at the reload.
    """
    history = [{**message, "content": _bare(message)} for message in history]
    while history and len(json.dumps(history)) > limit:
        first = next((n for n, one in enumerate(history) if n and _starts_turn(history, n)), None)
        history = history[first:] if first else []
    return history


def restored(history: History, available: Callable[[str], str], language: Language) -> History:
    """The history as a reload shows it: a clip whose file is gone is a note that says so."""
    shown: History = []
    for message in history:
        found = {path: available(path) for path in paths_of([message])}
        gone = [path for path, file in found.items() if not file]
        shown += [_gone(path, language) for path in gone]
        left = [_file(found[path]) for path in paths_of([message]) if found[path]]
        if left or not gone:
            shown.append({**message, "content": left or [_words(text_of(message))]})
    return settled(shown, language)


def present(history: History, available: Callable[[str], str], language: Language) -> History:
    """The history with a note in place of each message whose clips are all gone.

    One that has others too stays: without it "the second" would be another one.
    """

    def shown(message: dict[str, Any]) -> dict[str, Any]:
        paths = paths_of([message])
        gone = paths and not any(map(available, paths))
        return _gone(paths[0], language) if gone else message

    return list(map(shown, history))


def gone_in(messages: History) -> str:
    """What is told of clips that are gone in the messages."""
    return " ".join(one["metadata"]["title"] for one in messages if kind_of(one) == "gone")


def _bare(message: dict[str, Any]) -> list[dict[str, Any]]:
    paths = paths_of([message])
    return [{"type": "file", "file": {"path": path}} for path in paths] + (
        [] if paths else [_words(text_of(message))]
    )


def _starts_turn(history: History, number: int) -> bool:
    return history[number]["role"] == "user" and history[number - 1]["role"] != "user"


def _gone(path: str, language: Language) -> dict[str, Any]:
    sentence = Message(SENTENCES, "gone", name=Path(path).name).say(language)
    return note(sentence, "gone", role="user")


def _words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _file(path: str) -> dict[str, Any]:
    """A clip as the Chatbot takes it; what no browser plays is shown as a link."""
    kind = PLAYED.get(Path(path).suffix.lower(), "application/octet-stream")
    file = {"path": path, "mime_type": kind, "meta": {"_type": "gradio.FileData"}}
    return {"type": "file", "file": file}
