"""One turn: a history or a conversation in, the model's reply out, as it grows.

The page and the API both answer through here. This module knows no gradio: it hears the clips,
asks the engine, and ends the engine's work when its reader goes away.
"""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from demo.audio import Clip, Ear
from demo.conversation import from_history, with_windows
from demo.engine import Conversation, Engine, Options, Waiting
from demo.ui.history import History, answered_only
from demo.watching import Watch

if TYPE_CHECKING:
    from demo.loading import Loading, Status

UPDATES_PER_SECOND = 25  # more is work for the browser that no eye sees
WORDLESS_SECONDS = 0.1  # a word that comes sooner is not held up by a note that none is there
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Reply:
    """The reply so far, and the clips that it answers, in the conversation's order."""

    text: str
    clips: tuple[Clip, ...]
    ahead: int = 0  # how many replies are made before it is begun


@dataclass(frozen=True)
class Desk:
    """Where a turn is answered, and whose it is."""

    engine: Engine
    ear: Ear
    user: str = ""
    watch: Watch = field(default_factory=Watch)


def reply(history: History, system: str | None, options: Options, desk: Desk) -> Iterator[Reply]:
    """The reply to the last user's turn of a Chatbot's history; see `answer`."""
    yield from answer(from_history(answered_only(history), system), options, desk)


def ahead(history: History, system: str | None, engine: Engine, ear: Ear) -> None:
    """Hears the clips of a user's turn that is not finished and feeds it, in spare time.

    Raises:
        UserError: a clip cannot be heard.
    """
    conversation = from_history(answered_only(history), system)
    heard, windows, _ = with_windows(conversation, ear.hear)
    engine.prepare(heard, windows)


def answer(conversation: Conversation, options: Options, desk: Desk) -> Generator[Reply]:
    """The reply to a conversation, at every piece.

    It yields also where a piece is empty, because only at a yield can it be closed; closing it
    ends the generation.

    Raises:
        UserError: a clip cannot be heard, or the engine cannot answer.
    """
    with desk.watch.request() as seen:
        heard, windows, clips = with_windows(conversation, desk.ear.hear)
        seen.clips, seen.sound = len(clips), sum(clip.seconds for clip in clips)
        stream = desk.engine.stream(heard, windows, options, desk.user)
        text = ""
        with closing(cast(Generator[str], stream)) as pieces:
            for piece in pieces:
                if piece:
                    seen.piece()
                text += piece
                ahead = piece.ahead if isinstance(piece, Waiting) else 0
                yield Reply(text, tuple(clips), ahead)


def paced(replies: Iterable[Reply], per_second: float = UPDATES_PER_SECOND) -> Iterator[Reply]:
    """Fewer of `replies`: the first word, the last, and `per_second` between them.

    Nothing is held back for longer than that, or than `WORDLESS_SECONDS` before the first word,
    so closing takes no longer either.
    """
    latest, due, begun = None, time.monotonic() + WORDLESS_SECONDS, False
    for latest in replies:
        now = time.monotonic()
        if now >= due or (latest.text and not begun):
            due, begun = now + 1 / per_second, bool(latest.text)
            yield latest
    if latest is not None:
        yield latest


def until_ready(loading: "Loading") -> Iterator["Status"]:
    """How far the loading is, again and again until it is over, well or not."""
    while (status := loading.status()).phase not in ("ready", "failed"):
        yield status
        time.sleep(POLL_SECONDS)
