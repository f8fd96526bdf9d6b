"""The parts that turns are made of, and what must hold of them wherever they come from.

Text that a person typed can never become a control token: every `<|` in it gets an invisible
word joiner in its middle, which reads the same and is the same for every engine. Knows neither
Gradio's shapes nor the API's.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from demo.messages import Sentences, UserError

ROLES = ("system", "user", "assistant")
JOINER = "\u2060"  # WORD JOINER: no width, no line break, kept by every tokenizer's normalizer
MOST_CHARACTERS = 1_000_000  # more than any model's context, and soon read
MOST_PARTS = 20_000
SHOWN = 60  # characters of a wrong value that an error repeats

_CONTROL = re.compile(r"<(?=\|)")

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
    "too_many_parts": (
        "The conversation has {count} turns or parts of turns; at most {limit} are taken. Start a "
        "new one, or leave out what is old.",
        "对话包含 {count} 轮或部分，最多接受 {limit}。请开始新的对话，或去掉较早的内容。",
    ),
    "too_many_characters": (
        "The conversation has {count} characters of text; at most {limit} are taken. Send less "
        "text, or start a new conversation.",
        "对话共有 {count} 个字符，最多接受 {limit}。请减少文字，或开始新的对话。",
    ),
    "blank": (
        "The last turn, {turn}, has neither words nor a clip.",
        "最后一轮（第 {turn} 轮）既没有文字也没有音频。",
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


def role_of(message: object, number: int) -> str:
    match message:
        case {"role": str(role), "content": _} if role in ROLES:
            return role
        case {"role": role, "content": _}:
            raise ConversationError("role", turn=number, value=short(role))
        case _:
            raise ConversationError("not_a_turn", turn=number, value=short(message))


def turns_in(conversation: object) -> list[Any]:
    """The turns of a conversation from outside, whatever each of them is.

    Raises:
        ConversationError: it is no list, or an empty one.
    """
    if not isinstance(conversation, list):
        raise ConversationError("not_a_list", value=short(conversation))
    if not conversation:
        raise ConversationError("empty")
    _require_few(len(conversation))
    return conversation


def require_moderate(turns: Sequence[dict[str, Any]]) -> None:
    """All that follows takes time and memory by its length, also where it will be refused.

    Raises:
        ConversationError: there are too many characters or parts.
    """
    parts = [part for turn in turns for part in parts_of(turn)]
    _require_few(len(parts))
    count = sum(len(part.get("text", "")) for part in parts)
    if count > MOST_CHARACTERS:
        raise ConversationError("too_many_characters", count=count, limit=MOST_CHARACTERS)


def _require_few(count: int) -> None:
    if count > MOST_PARTS:
        raise ConversationError("too_many_parts", count=count, limit=MOST_PARTS)


def checked_turn(
    turn: object, number: int, checked: Callable[[object, str, int], dict[str, Any]]
) -> tuple[str, list[dict[str, Any]]]:
    """The role of a turn from outside and its parts, each `checked` with its role and number.

    Raises:
        ConversationError: what is wrong, with the turn's number and the value.
    """
    role = role_of(turn, number)
    if role == "system" and number > 1:
        raise ConversationError("system", turn=number)
    match turn:
        case {"content": str(text)}:
            return role, [checked({"type": "text", "text": text}, role, number)]
        case {"content": [_, *_] as given}:
            return role, [checked(part, role, number) for part in given]
        case {"content": content}:
            raise ConversationError("content", turn=number, value=short(content))
        case _:
            raise ConversationError("not_a_turn", turn=number, value=short(turn))


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": escape(text)}


def audio_part(url: str) -> dict[str, Any]:
    return {"type": "audio", "audio_url": url}


def joined(messages: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
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


def content_of(role: str, parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A user's content is a list of parts; a system's or an assistant's is one text."""
    return parts if role == "user" else "".join(part["text"] for part in parts)


def parts_of(turn: dict[str, Any]) -> list[dict[str, Any]]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
