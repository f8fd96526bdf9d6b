"""Which rows of a manifest can be learned from, and what is wrong with each of the others.

A row is good where the app could have sent its conversation and the assistant says something in
it. This module reads no weights; clips are heard as the app hears them, by the `hear` that it is
given.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.audio import WINDOW_SECONDS, Clip
from demo.encoder import mel_frames, tokens_of
from demo.messages import UserError
from demo.turns import ConversationError, checked_turn, content_of, short, turns_in
from finetune.rendering import IGNORED, Conversation, Renderer
from finetune.tokenizer import CONTROL_TOKENS

Hear = Callable[[str], Clip]


class RowError(ValueError):
    """What is wrong with a row, as the end of a line that begins with its number."""


@dataclass(frozen=True)
class Fault:
    """A row that cannot be used: its line in the file, counted from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Window:
    """One window of a clip: where its sound is, and how many audio tokens it takes."""

    url: str
    place: int
    tokens: int


@dataclass
class Checker:
    """Checks rows for one processor; `windows` gathers every window heard, by its name.

    A window's name is its clip's hash and its place in it, so that a clip that is replaced by
    another under the same file name is another clip.
    """

    renderer: Renderer
    context: int
    split: bool = False
    windows: dict[str, Window] = field(default_factory=dict)
    heard: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def rows(self, lines: list[str], hear: Hear) -> Iterator[Conversation | Fault]:
        """Each row as its conversation, with windows in the place of clips, or its fault."""
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield self.row(line, hear)
            except (RowError, UserError) as error:
                yield Fault(number, str(error))

    def row(self, line: str, hear: Hear) -> Conversation:
        turns = [_turn(turn, number) for number, turn in enumerate(_turns(line), 1)]
        if not any(turn["role"] == "assistant" for turn in turns):
            raise RowError("the assistant says nothing in it, so there is nothing to learn")
        heard = [self._heard(turn, hear) for turn in turns]
        rendered = self.renderer.render(heard, self._tokens)
        if len(rendered.ids) > self.context:
            raise RowError(f"{len(rendered.ids)} tokens, and the model takes {self.context}")
        if all(label == IGNORED for label in rendered.labels):
            raise RowError("the chat template shows no turn of the assistant")
        return heard

    def _heard(self, turn: dict[str, Any], hear: Hear) -> dict[str, Any]:
        """A turn with one part for each window of its clips."""
        if isinstance(turn["content"], str):
            return turn
        parts: list[dict[str, Any]] = []
        for part in turn["content"]:
            names = self._names(part["audio_url"], hear) if part["type"] == "audio" else []
            parts += [{**part, "audio_url": name} for name in names] or [part]
        return {**turn, "content": parts}

    def _names(self, url: str, hear: Hear) -> list[str]:
        if url not in self.heard:
            clip = hear(url)
            cut = clip.windows()
            if len(cut) > 1 and not self.split:
                raise RowError(
                    f"{clip.name} is {clip.seconds:.1f} s long, and the model hears "
                    f"{WINDOW_SECONDS} s at once: cut it, or start with --split-long"
                )
            extractor = self.renderer.processor.feature_extractor
            for place, window in enumerate(cut):
                tokens = tokens_of(mel_frames(extractor, window))
                self.windows[f"{clip.key}-{place}"] = Window(url, place, tokens)
            self.heard[url] = [f"{clip.key}-{place}" for place in range(len(cut))]
            self.notes += [str(warning) for warning in clip.warnings]
        return self.heard[url]

    def _tokens(self, part: dict[str, Any]) -> int:
        return self.windows[part["audio_url"]].tokens


def read_lines(path: Path) -> list[str]:
    """The lines of a manifest; what cannot be read ends the program in a sentence."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SystemExit(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SystemExit(f"{path.name} is no UTF-8 text: see byte {error.start}") from None
    return text.split("\n")  # not splitlines: a string in JSON may hold other line ends


def parsed(line: str) -> dict[str, Any]:
    """The object on a line of JSON.

    Raises:
        RowError: there is none.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RowError(f"no JSON: {error.msg} at column {error.colno}") from None
    except (RecursionError, ValueError) as error:
        raise RowError(f"no JSON: {error}") from None
    if not isinstance(row, dict):
        raise RowError(f"not an object but {short(row)}")
    return row


def _turns(line: str) -> list[Any]:
    row = parsed(line)
    turns = row.get("messages", row.get("conversation"))
    if turns is None:
        raise RowError('neither "messages" nor "conversation" is in it')
    return turns_in(turns)


def _turn(turn: object, number: int) -> dict[str, Any]:
    """A turn in the model card's exact form."""
    role, parts = checked_turn(turn, number, _part)
    content = content_of(role, parts)
    if role == "assistant" and not str(content).strip():
        raise RowError(f"turn {number} is the assistant's and empty")
    return {"role": role, "content": content}


def _part(part: object, role: str, number: int) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": _words(text, number)}
        case {"type": "audio", "audio_url": str(url)} if role == "user":
            return {"type": "audio", "audio_url": url}
        case _:
            raise ConversationError("part", turn=number, value=short(part))


def _words(text: str, number: int) -> str:
    """Text that a tokenizer takes, and that cannot be taken for the end of a turn or for sound."""
    for token in CONTROL_TOKENS:
        if token in text:
            raise RowError(f"turn {number} has the control token {token} among its words")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowError(f"turn {number} has half a character in it (a lone surrogate)") from None
    return text
