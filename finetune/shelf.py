"""The rows of a clip library, ready to be drawn from by kind, and the clips behind them.

A clip is named by `library:<id>`; `library:<id>+<id>` is one clip after the other with a rest
between, as long as the id before it says. This module knows no conversations.
"""

from collections import defaultdict
from collections.abc import Iterable
from zlib import crc32

import numpy as np

from finetune.answers import is_speech, transcript
from finetune.clips.library import SAMPLE_RATE, Row, samples
from finetune.traits import traits_of
from finetune.wordings import pick

SCHEME = "library:"
RESTS = (0.02, 0.4)  # seconds, the shortest and the longest
WINDOW_SECONDS = 29.5


class Shelf:
    """Rows of one split, by kind; "long" are sentences joined to clips of up to a window."""

    def __init__(self, rows: Iterable[Row], seed: int = 0, long_clips: int = 2500) -> None:
        self.rows = {row["id"]: row for row in rows}
        self.kinds: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows.values():
            self.kinds[self._group(row)].append(row)
        self.kinds["pitched"] = [row for row in self.kinds["sound"] if row["pitch"]]
        rng = np.random.default_rng(seed)
        self.kinds["long"] = [self._long(rng) for _ in range(long_clips)]

    def draw(self, kind: str, rng: np.random.Generator) -> Row:
        """A row of "sentence", "short", "digit", "question", "question_zh", "sound", "count" …"""
        return pick(self.kinds[kind], rng)

    def _long(self, rng: np.random.Generator) -> Row:
        """Sentences one after the other; most such clips fill less than half of the window."""
        seconds = float(
            rng.uniform(5, 14) if rng.random() < 0.8 else rng.uniform(14, WINDOW_SECONDS)
        )
        rows = [self.draw("sentence", rng)]
        while joined([*rows, row := self.draw("sentence", rng)])["seconds"] < seconds:
            rows.append(row)
        return joined(rows)

    @staticmethod
    def _group(row: Row) -> str:
        if row["kind"] in ("word", "number", "words"):
            return "short"
        return "sound" if row["kind"] == "silence" else row["kind"]


def joined(rows: list[Row]) -> Row:
    """One clip made of several, as a row: its words are theirs, one after the other."""
    genders = {row["gender"] for row in rows}
    return {
        **rows[0],
        "id": "+".join(row["id"] for row in rows),
        "kind": "long",
        "text": " ".join(row["text"] for row in rows),
        "words": " ".join(row["words"] for row in rows),
        "question": None,
        "gender": genders.pop() if len(genders) == 1 else None,
        "level": None,
        "seconds": sum(row["seconds"] for row in rows) + sum(rest(row["id"]) for row in rows[:-1]),
    }


def audio_part(row: Row) -> dict[str, str]:
    """The row's clip as a part of a turn, with the words and traits that are to be learned."""
    learned = {"transcript": transcript(row), **traits_of(row)}
    return {"type": "audio", "audio_url": SCHEME + row["id"], **learned}


def read(url: str, rows: dict[str, Row]) -> np.ndarray:
    """The samples behind `library:…`."""
    names = url.removeprefix(SCHEME).split("+")
    pieces: list[np.ndarray] = []
    for name in names:
        pieces += [samples(rows[name]), np.zeros(int(rest(name) * SAMPLE_RATE), np.float32)]
    return np.concatenate(pieces[:-1])


def first_of(url: str, rows: dict[str, Row]) -> Row:
    """The row of the first clip behind `library:…`."""
    return rows[url.removeprefix(SCHEME).partition("+")[0]]


def rest(name: str) -> float:
    """Seconds of silence after a clip in a longer one, different from clip to clip."""
    shortest, longest = RESTS
    return shortest + (longest - shortest) * (crc32(name.encode()) % 1000) / 1000


def same_kind(first: Row, second: Row) -> bool:
    """Whether two clips sound alike, so that asking which is which makes no sense."""
    if is_speech(first) or is_speech(second):
        return is_speech(first) and is_speech(second)
    return (first["sound"], first["of"]) == (second["sound"], second["of"])
