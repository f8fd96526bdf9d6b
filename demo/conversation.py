"""Chat history <-> conversation: the page's turns in the form of the model card, and back.

Pure functions: they know no torch, no gradio and no sound, and they change nothing that they are
given. A history is what Gradio's Chatbot hands to a function; a conversation is what the chat
template takes.

Text that a person typed can never become a control token: every `<|` in it gets an invisible
word joiner in its middle, which reads the same and is the same for every engine.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from demo.engine import Conversation
from demo.messages import Sentences, UserError

if TYPE_CHECKING:
    from demo.audio import Clip

ROLES = ("system", "user", "assistant")
JOINER = "\u2060"  # WORD JOINER: no width, no line break, kept by every tokenizer's normalizer
SHOWN = 60  # characters of a wrong value that an error repeats

_CONTROL = re.compile(r"<(?=\|)")
_OUTSIDE = re.compile(r"(https?|data):", re.IGNORECASE)

SENTENCES: Sentences = {
    "not_a_list": (
        "A conversation is a list of turns, and this is {value}.",
        "对话应是由各轮消息组成的列表，而这里是 {value}。",
    ),
    "empty": ("The conversation has no turns.", "对话里没有任何消息。"),
    "not_a_turn": (
        'Turn {turn} must be an object with "role" and "content", and is {value}.',
        "第 {turn} 轮应是带有 “role” 和 “content” 的对象，而这里是 {value}。",
    ),
    "role": (
        'Turn {turn} has the role {value}; it must be "system", "user" or "assistant".',
        "第 {turn} 轮的角色是 {value}；只能是 “system”、“user” 或 “assistant”。",
    ),
    "system": (
        "Turn {turn} is a system turn; only the first turn may be one.",
        "第 {turn} 轮是系统消息；系统消息只能放在最前面。",
    ),
    "content": (
        "Turn {turn} has the content {value}; it must be a text or a list of parts.",
        "第 {turn} 轮的内容是 {value}；应是文本或由各部分组成的列表。",
    ),
    "part": (
        'Turn {turn} has the part {value}; a part is {{"type": "text", "text": "…"}} or, '
        'of a user, {{"type": "audio", "audio_url": "…"}}.',
        '第 {turn} 轮含有 {value}；每一部分应是 {{"type": "text", "text": "…"}}，'
        '用户消息还可以是 {{"type": "audio", "audio_url": "…"}}。',
    ),
    "audio_url": (
        "Turn {turn} has the audio_url {value}; it must be an http(s) URL, a data: URL or an "
        "uploaded file (gradio_client's handle_file).",
        "第 {turn} 轮的 audio_url 是 {value}；应是 http(s) 网址、data: 网址或已上传的文件"
        "（gradio_client 的 handle_file）。",
    ),
    "last": (
        "The last turn, {turn}, is of the role {value}; a reply is made to a user's turn.",
        "最后一轮（第 {turn} 轮）的角色是 {value}；只有用户的消息才能得到回复。",
    ),
}


class ConversationError(UserError):
    """A conversation is not in the model card's form."""

    sentences: ClassVar[Sentences] = SENTENCES


def escape(text: str) -> str:
    """`text` with no control token in it: readable as before, and the same if escaped twice."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # lone surrogates
    return _CONTROL.sub(f"<{JOINER}", whole)


def unescape(text: str) -> str:
    """What the person typed, for showing it."""
    return text.replace(f"<{JOINER}|", "<|")


def from_history(history: Sequence[dict[str, Any]], system: str | None = None) -> Conversation:
    """The conversation of a Chatbot's history, its clips as `audio_url` = the file's path.

    Messages of one role that follow each other become one turn, their parts in order. Left out:
    blank messages (a reply stopped before its first word), the page's own notes (messages whose
    metadata have a title: thoughts, errors), and clips or components in an assistant's message,
    which the model cannot have said. `system` goes first; where it is blank, a system message
    at the start of the history does.

    Raises:
        ConversationError: a message of a shape that the Chatbot does not produce.
    """
    said = [
        (_role(message, number), parts)
        for number, message in enumerate(history, 1)
        if not _is_note(message) and (parts := list(_history_parts(message, number)))
    ]
    given = [("system", [_text(system)])] if system and system.strip() else []
    if given and said and said[0][0] == "system":
        said = said[1:]
    turns = [
        {"role": role, "content": _content(role, _joined(parts for _, parts in group))}
        for role, group in groupby([*given, *said], key=lambda one: one[0])
    ]
    for number, turn in enumerate(turns, 1):
        if turn["role"] == "system" and number > 1:
            raise ConversationError("system", turn=number)
    return turns


def to_history(conversation: Conversation) -> list[dict[str, Any]]:
    """The Chatbot's value that `from_history` makes `conversation` of."""
    return [
        {"role": turn["role"], "content": [_shown(part) for part in _parts_of(turn)]}
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
    if not isinstance(conversation, list):
        raise ConversationError("not_a_list", value=_short(conversation))
    if not conversation:
        raise ConversationError("empty")
    turns = [_checked_turn(turn, number) for number, turn in enumerate(conversation, 1)]
    if turns[-1]["role"] != "user":
        raise ConversationError("last", turn=len(turns), value=_short(turns[-1]["role"]))
    return turns


def _checked_turn(turn: object, number: int) -> dict[str, Any]:
    role = _role(turn, number)
    if role == "system" and number > 1:
        raise ConversationError("system", turn=number)
    match turn:
        case {"content": str(text)}:
            parts = [_text(text)]
        case {"content": [_, *_] as given}:
            parts = [_checked_part(part, role, number) for part in given]
        case {"content": content}:
            raise ConversationError("content", turn=number, value=_short(content))
        case _:
            raise ConversationError("not_a_turn", turn=number, value=_short(turn))
    return {"role": role, "content": _content(role, _joined([parts]))}


def _checked_part(part: object, role: str, number: int) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text)}:
            return _text(text)
        case {"type": "audio", "audio_url": url} if role == "user":
            return _audio(_checked_url(url, number))
        case _:
            raise ConversationError("part", turn=number, value=_short(part))


def _checked_url(url: object, number: int) -> str:
    match url:
        case str() if _OUTSIDE.match(url):
            return url
        case {"path": str(path), "meta": {"_type": "gradio.FileData"}}:
            return path
        case _:
            raise ConversationError("audio_url", turn=number, value=_short(url))


def _role(message: object, number: int) -> str:
    match message:
        case {"role": str(role), "content": _} if role in ROLES:
            return role
        case {"role": role, "content": _}:
            raise ConversationError("role", turn=number, value=_short(role))
        case _:
            raise ConversationError("not_a_turn", turn=number, value=_short(message))


def _is_note(message: dict[str, Any]) -> bool:
    return bool((message.get("metadata") or {}).get("title"))


def _history_parts(message: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """The parts of one Chatbot message that the model gets, blank ones left out."""
    content = message["content"]
    for part in content if isinstance(content, list) else [content]:
        match part:
            case str(text) | {"type": "text", "text": str(text)}:
                if text.strip():
                    yield _text(text)
            case _ if message["role"] != "user":
                continue
            case {"file": {"path": str(path)}} | {"path": str(path)}:
                yield _audio(path)
            case {"type": "component", "value": value} if path := _component_path(value):
                yield _audio(path)
            case _:
                raise ConversationError("part", turn=number, value=_short(part))


def _component_path(value: object) -> str | None:
    """The file of an audio or video component; only one that Gradio itself has checked."""
    match value:
        case {"path": str(path), "meta": {"_type": "gradio.FileData"}}:
            return path
        case {"video": video}:
            return _component_path(video)
        case _:
            return None


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": escape(text)}


def _audio(url: str) -> dict[str, Any]:
    return {"type": "audio", "audio_url": url}


def _joined(messages: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The parts of messages as those of one turn: a line break between two messages' words,
    and no control token that grows where one text part ends and the next begins.
    """
    turn: list[dict[str, Any]] = []
    for parts in messages:
        for place, part in enumerate(part for part in parts if part.get("text") != ""):
            before = turn[-1].get("text", "") if turn else ""
            turn.append(_after(before, part, new_message=place == 0))
    return turn


def _after(before: str, part: dict[str, Any], new_message: bool) -> dict[str, Any]:
    if part["type"] != "text" or not before:
        return part
    if new_message:
        return {**part, "text": "\n" + part["text"]}
    if before.endswith("<") and part["text"].startswith("|"):
        return {**part, "text": JOINER + part["text"]}
    return part


def _content(role: str, parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A user's content is a list of parts; a system's or an assistant's is one text."""
    return parts if role == "user" else "".join(part["text"] for part in parts)


def _parts_of(turn: dict[str, Any]) -> list[dict[str, Any]]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _shown(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "audio":
        return {"type": "file", "file": {"path": part["audio_url"]}}
    return {"type": "text", "text": unescape(part["text"])}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
