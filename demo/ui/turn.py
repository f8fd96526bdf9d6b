"""One turn: a history or a conversation in, the model's reply out, as it grows.

The page and the API both answer through here. This module knows no gradio: it hears the clips,
asks the engine, and ends the engine's work when its reader goes away.
"""

import math
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError, wait
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, cast

import numpy as np

from demo.audio import AudioError, Clip, Ear
from demo.conversation import from_history, with_windows
from demo.engine import Conversation, Options, Waiting
from demo.hands import Hands
from demo.ui.history import History, answered_only
from demo.watching import Watch

if TYPE_CHECKING:
    from demo.loading import Loading, Status

UPDATES_PER_SECOND = 25  # more is work for the browser that no eye sees
WORDLESS_SECONDS = 0.1  # a word that comes sooner is not held up by a note that none is there
POLL_SECONDS = 0.25
HEARING_SECONDS = 0.05  # between two looks whether the clips are heard; there it can be closed
LONGEST_CLIPS = 3  # in one conversation: far more than a model's context takes

Heard = tuple[Conversation, list[np.ndarray], list[Clip]]


@dataclass(frozen=True)
class Reply:
    """The reply so far, and the clips that it answers, in the conversation's order."""

    text: str
    clips: tuple[Clip, ...]
    ahead: int = 0  # how many replies are made before it is begun
    loading: "Status | None" = None  # of the engine, while it is on its way


@dataclass(frozen=True)
class Desk:
    """Where a turn is answered, and whose it is."""

    loading: "Loading"
    ear: Ear
    user: str = ""
    watch: Watch = field(default_factory=Watch)
    hands: Hands = field(default_factory=Hands)
    patience: float = math.inf  # seconds for an engine that is on its way


def reply(history: History, system: str | None, options: Options, desk: Desk) -> Iterator[Reply]:
    """The reply to the last user's turn of a Chatbot's history; see `answer`."""
    yield from answer(from_history(answered_only(history), system), options, desk)


def ahead(history: History, system: str | None, desk: Desk, stop: Event) -> None:
    """Hears the clips of a user's turn that is not finished and feeds it, in spare time.

    Raises:
        UserError: a clip cannot be heard, or there is no engine yet.
    """
    conversation = from_history(answered_only(history), system)
    heard, windows, _ = _hear(conversation, desk, stop)
    desk.loading.wait(0).prepare(heard, windows)


def answer(conversation: Conversation, options: Options, desk: Desk) -> Generator[Reply]:
    """The reply to a conversation, at every piece, on a place that it has from the first.

    It yields also where a piece is empty, because only at a yield can it be closed; closing it
    ends the hearing and the generation.

    Raises:
        UserError: there is no place, a clip cannot be heard, or the engine cannot answer.
    """
    with desk.watch.request(desk.user) as seen:
        for status in until_ready(desk.loading, desk.patience):
            yield Reply("", (), loading=status)
        engine = desk.loading.wait(0)
        heard, windows, clips = yield from _heard(conversation, desk)
        seen.clips, seen.sound = len(clips), sum(clip.seconds for clip in clips)
        stream = engine.stream(heard, windows, options, desk.user)
        text = ""
        with closing(cast(Generator[str], stream)) as pieces:
            for piece in pieces:
                if piece:
                    seen.piece()
                text += piece
                ahead = piece.ahead if isinstance(piece, Waiting) else 0
                yield Reply(text, tuple(clips), ahead)


def _heard(conversation: Conversation, desk: Desk) -> Generator[Reply, None, Heard]:
    """What is heard in a conversation, off this thread, which one user could keep from others."""
    with desk.hands.doing(partial(_hear, conversation, desk), desk.user) as hearing:
        while not wait([hearing], HEARING_SECONDS).done:
            yield Reply("", ())
        return hearing.result()


def _hear(conversation: Conversation, desk: Desk, stop: Event) -> Heard:
    limit, heard = desk.ear.limits.max_minutes * LONGEST_CLIPS, 0.0

    def hear(url: str) -> Clip:
        nonlocal heard
        if stop.is_set():
            raise CancelledError
        clip = desk.ear.hear(url, stop=stop, user=desk.user)
        heard += clip.seconds / 60
        if heard > limit:  # before it is all in memory
            raise AudioError("too_long_together", limit=limit)
        return clip

    return with_windows(conversation, hear)


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


def until_ready(loading: "Loading", patience: float = math.inf) -> Iterator["Status"]:
    """How far the loading is, again and again until it is over, well or not, or for so long."""
    last = time.monotonic() + patience
    while (status := loading.status()).phase not in ("ready", "failed"):
        if time.monotonic() >= last:
            return
        yield status
        time.sleep(POLL_SECONDS)
