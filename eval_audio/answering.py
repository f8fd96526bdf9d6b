"""Rows of a manifest -> replies, by whatever gives them: what all ways of asking have in common.

Replies are greedy, of at most 256 tokens, as in the original project. A clip of over 30 s is heard
by windows: where speech is written down or translated, each is asked about and the replies are
joined; where the whole is asked about, all stand in one prompt. `checkpoint` asks a model on this
machine, `servers` asks others. This module knows no torch, no metrics and no files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from demo.audio import AudioError, Ear
from eval_audio.manifest import AUDIO, EvalError, Row, Task
from eval_audio.store import Prediction
from eval_audio.words import joined

Item = TypeVar("Item")

CLIP = f"<|audio_bos|>{AUDIO}<|audio_eos|>"
READERS = 4
NEW_TOKENS = 256
WINDOW_BY_WINDOW: tuple[Task, ...] = ("asr", "s2tt")


@dataclass(frozen=True)
class Heard:
    """A row and the windows of its clip, or why there are none."""

    row: Row
    windows: list[np.ndarray]
    error: str | None = None


@dataclass(frozen=True)
class Asked:
    """Who is asked, for the folder of predictions and the report."""

    name: str
    weights: str  # changes when the weights' files do, as far as that is known
    where: Mapping[str, str]  # device and dtype


class Respondent(Protocol):
    """Something that answers rows of one task, in the form in which it is asked."""

    asked: Asked

    def predictions(self, rows: Sequence[Heard], batch_size: int) -> list[Prediction]:
        """What came of each row, in order."""
        ...

    def close(self) -> None: ...


def hear(ear: Ear, place: Callable[[str], str], row: Row) -> Heard:
    """The row with its clip, which is at `place` of what the row calls it."""
    try:
        return Heard(row, ear.hear(place(row.audio)).windows())
    except AudioError as error:
        return Heard(row, [], str(error))


def heard_ahead(
    rows: Sequence[Row], size: int, listen: Callable[[Row], Heard]
) -> Iterator[list[Heard]]:
    """The rows with their clips, `size` at a time; the next ones are read meanwhile."""
    with ThreadPoolExecutor(READERS) as readers:
        waiting: list[Future[Heard]] = []
        for group in [*groups(rows, size), []]:
            coming = [readers.submit(listen, row) for row in group]
            if waiting:
                yield [future.result() for future in waiting]
            waiting = coming


def prompts_of(heard: Heard, task: Task) -> list[list[np.ndarray]]:
    """The windows of each prompt that a row needs: one a window, or all in one."""
    if heard.error or not heard.windows:
        return []
    return [[window] for window in heard.windows] if task in WINDOW_BY_WINDOW else [heard.windows]


def groups(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def blank(heard: Heard) -> Prediction:
    """The prediction of a row before its reply is known."""
    row = heard.row
    known: Prediction = {"row": row.number, "source": row.source}
    known |= {name: row.fields[name] for name in ("id",) if name in row.fields}
    known |= {"audio": row.audio, "prompt": row.prompt}
    known |= {} if row.reference is None else {"gt": row.reference}
    return known | ({"error": heard.error} if heard.error else {"windows": len(heard.windows)})


def predicted(
    rows: Sequence[Heard],
    languages: Mapping[str, str],
    asks: Callable[[Heard], Sequence[Item]],
    replied: Callable[[list[Item]], Sequence[str | EvalError]],
) -> list[Prediction]:
    """What came of each row, in order: it is asked about in `asks`, all are answered together.

    `asks` may raise an `EvalError`, which is the row's; `languages` are the replies', by source.
    """
    found, items, owners = [blank(heard) for heard in rows], list[Item](), list[int]()
    for place, heard in enumerate(rows):
        try:
            mine = asks(heard)
        except EvalError as error:
            found[place]["error"] = str(error)
            continue
        items += mine
        owners += [place] * len(mine)
    replies: dict[int, list[str | EvalError]] = {}
    for owner, reply in zip(owners, replied(items), strict=True):
        replies.setdefault(owner, []).append(reply)
    for place, texts in replies.items():
        found[place] |= outcome(texts, languages.get(found[place]["source"]))
    return found


def outcome(replies: Sequence[str | EvalError], language: str | None) -> Prediction:
    """What came of one row's prompts: its replies as one, or the first problem."""
    for reply in replies:
        if isinstance(reply, EvalError):
            return {"error": str(reply)}
    texts = [reply for reply in replies if isinstance(reply, str)]
    return {"response": joined(texts, language) if len(texts) > 1 else texts[0]}
