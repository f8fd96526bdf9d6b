"""Phrases that show how English words are used: the examples of WordNet, to train on only.

Templates hold the words that were thought of; these hold some 28,000 more, so that transcription
learns to spell what it hears. They are read from where Debian's package wordnet-base (WordNet 3.0,
Princeton University, its own BSD-like licence) puts them, and are no part of this repository.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from finetune.clips.sentences import Text, split_of

WORDNET = Path("/usr/share/wordnet")
PARTS = ("noun", "verb", "adj", "adv")
PLAIN = re.compile(r"[A-Za-z][A-Za-z',\- ]*[.!?]?")
WORDS = range(3, 15)


class NoPhrasesError(RuntimeError):
    """WordNet is not installed."""


def examples(folder: Path = WORDNET) -> Iterator[str]:
    """What stands in quotation marks in WordNet's glosses."""
    for part in PARTS:
        file = folder / f"data.{part}"
        if not file.exists():
            raise NoPhrasesError("WordNet's examples are not here: apt-get install wordnet-base")
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            yield from re.findall(r'"([^"]+)"', line.partition("|")[2])


def as_text(example: str) -> Text:
    """An example with a capital and a full stop, as other sentences are written."""
    written = example[0].upper() + example[1:]
    return Text(written if written[-1] in ".!?" else f"{written}.", written)


@cache
def phrases() -> tuple[Text, ...]:
    """Those of plain letters and of a sentence's length that may be heard in training."""
    plain = {found: None for found in map(str.strip, examples()) if PLAIN.fullmatch(found)}
    texts = [as_text(found) for found in plain]
    fitting = [text for text in texts if len(text.words.split()) in WORDS]
    return tuple(text for text in fitting if split_of(text.words) == "train")


def phrase(rng: np.random.Generator) -> Text:
    return phrases()[rng.integers(len(phrases()))]
