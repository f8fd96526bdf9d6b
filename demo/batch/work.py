"""Rows in, done rows out: clips are heard ahead, cut into windows, and answered many at once.

Rows are worked through shelf by shelf, so that a folder of any size needs little memory; the
engine orders what lies on a shelf by its length. It knows neither page nor files' lists.
"""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Event

import numpy as np

from demo.audio import Clip, Ear
from demo.batch.rows import Row, asked, joined
from demo.batch.rules import BatchError
from demo.engine import Answer, BatchEngine, Engine, Item, Options
from demo.hands import Hands, Job
from demo.messages import UserError
from demo.watching import place_of

SHELF_WINDOWS = 64  # of at most 30 s: 123 MB of sound
HEARERS = 3  # clips that are fetched or decoded at once while the model answers
AHEAD = 16  # clips
POLL_SECONDS = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manner:
    """How all the rows of a batch are answered."""

    options: Options
    system: str | None = None  # what the model is told before each row; a raw prompt has none
    size: int | None = None  # the most windows together; None for what fits and is fast
    user: str = ""  # whose batch it is


@dataclass(frozen=True)
class Done:
    """What came of one row."""

    place: int  # of the row in its batch
    row: Row
    reply: str = ""
    seconds: float | None = None  # of the clip, where it was heard
    error: UserError | None = None


@dataclass(frozen=True)
class Heard:
    """A row whose clip was heard, in windows of at most 30 s."""

    place: int
    row: Row
    clip: Clip
    windows: Sequence[np.ndarray]


def work(
    rows: Mapping[int, Row], manner: Manner, engine: Engine, ear: Ear, hands: Hands
) -> Generator[Done | None]:
    """What comes of each of `rows`, given by their places, as it is done; None meanwhile.

    A row that fails stops no other. Closing the iterator ends the engine's work too.

    Raises:
        EngineError: the engine takes nothing at all.
    """
    shelf: list[Heard] = []
    with closing(hearing(rows, ear, hands, manner.user)) as coming:
        for one in coming:
            if not isinstance(one, Heard):
                yield one
                continue
            shelf.append(one)
            if sum(len(heard.windows) for heard in shelf) >= SHELF_WINDOWS:
                yield from answering(shelf, manner, engine)
                shelf = []
    yield from answering(shelf, manner, engine)


def hearing(
    rows: Mapping[int, Row], ear: Ear, hands: Hands, user: str = ""
) -> Generator[Heard | Done | None]:
    """The rows in their order, as their clips are heard, a few ahead; None while one is awaited.

    Closing it ends what is being fetched or decoded.
    """
    left, coming = deque(rows.items()), deque[Job[Heard | Done]]()
    try:
        while left or coming:
            while left and len(coming) < AHEAD and _unheard(coming) < HEARERS:
                one = partial(hear, *left.popleft(), ear, user)
                coming.append(hands.ask(one, user, late=True))
            done = wait([coming[0].future], POLL_SECONDS).done
            yield coming.popleft().future.result() if done else None
    finally:
        for job in coming:
            hands.leave(job)


def _unheard(jobs: Iterable[Job[Heard | Done]]) -> int:
    return sum(not job.future.done() for job in jobs)


def hear(place: int, row: Row, ear: Ear, user: str, stop: Event) -> Heard | Done:
    """The row's clip; whatever is wrong with it is this row's error and no other's."""
    try:
        if row.problem:
            raise row.problem
        clip = ear.hear(row.audio, row.name, stop, user)
        return Heard(place, row, clip, clip.windows())
    except UserError as error:
        return Done(place, row, error=error)
    except Exception as error:  # at the edge of a row
        if not stop.is_set():  # else nobody waits for it
            log.error("a clip could not be heard: %s", place_of(error))
        return Done(place, row, error=BatchError("failed", error=type(error).__name__))


def answering(shelf: Sequence[Heard], manner: Manner, engine: Engine) -> Generator[Done | None]:
    """The rows on a shelf as they are done: each when the last of its windows is answered."""
    items = [
        Item(asked(one.row, manner.system), [window]) for one in shelf for window in one.windows
    ]
    owners = [number for number, one in enumerate(shelf) for _ in one.windows]
    found: dict[int, Answer] = {}
    waiting = [len(one.windows) for one in shelf]
    with closing(answers(engine, items, manner)) as coming:
        for answer in coming:
            if answer is None:
                yield None
                continue
            found[answer.place] = answer
            owner = owners[answer.place]
            waiting[owner] -= 1
            if not waiting[owner]:
                first = owners.index(owner)
                windows = range(first, first + len(shelf[owner].windows))
                yield finished(shelf[owner], [found.pop(place) for place in windows])


def finished(heard: Heard, answers: Sequence[Answer]) -> Done:
    """The row with its windows' replies in their order, or with the first error among them."""
    failed = next((answer.error for answer in answers if answer.error), None)
    reply = "" if failed else joined(answer.text for answer in answers)
    return Done(heard.place, heard.row, reply, heard.clip.seconds, failed)


def answers(engine: Engine, items: Sequence[Item], manner: Manner) -> Generator[Answer | None]:
    """The engine's answers: many at once where it can, else one after another."""
    if isinstance(engine, BatchEngine):
        yield from engine.batch(items, manner.options, manner.size, manner.user)
        return
    for place, item in enumerate(items):
        if isinstance(item.asked, str):
            yield Answer(place, error=BatchError("no_raw"))
            continue
        text = ""
        try:
            for piece in engine.stream(item.asked, item.windows, manner.options, manner.user):
                text += piece
                yield None
        except UserError as error:
            yield Answer(place, error=error)
        else:
            yield Answer(place, text)
