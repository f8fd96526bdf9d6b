"""Everyday English sentences, drawn from `templates.txt` and `slots.txt`; nearly all different.

A sentence has two forms: as it is written ("The time is 7:30.") and as it is said, without
punctuation ("the time is seven thirty"). Its words decide by a hash whether it may be heard in
training or in testing, so the two never share a text and need not know of each other.
"""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np

from finetune.clips.inflection import inflected, plural
from finetune.clips.library import Split
from finetune.clips.numbers import words as number_words

HERE = Path(__file__).parent
TEST_SHARE = 16
SLOT = re.compile(r"<([a-z_0-9]+)(?:\.([a-z]+))?>")
CHOICE = re.compile(r"\(([^()<>{}]*(?:<[^<>]*>[^()<>{}]*)*)\)")
SPOKEN = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")
ARTICLE = re.compile(
    r"\b([Aa]) (?=(?:[aeio]|u(?!ni|se|su)|hour|honest)(?!ne\b|nce\b|uro))", re.IGNORECASE
)
LONGEST_WORDS = 16
FIXED_WEIGHT = 0.06
VERBS = ("vp", "verb_more")


@dataclass(frozen=True)
class Text:
    """What is said: as it is written, and as its words sound."""

    written: str
    said: str

    @property
    def words(self) -> str:
        """Lower case, without punctuation; hyphens part words, apostrophes stay in them."""
        kept = re.sub(r"[^a-z' ]", " ", self.said.lower().replace("’", "'"))
        return " ".join(word.strip("'") for word in kept.split())


def split_of(words: str) -> Split:
    """Where a text may be heard."""
    first = blake2b(words.encode(), digest_size=2).digest()
    return "test" if int.from_bytes(first, "big") % TEST_SHARE == 0 else "train"


@cache
def slots() -> dict[str, tuple[str, ...]]:
    """The entries of every slot."""
    found: dict[str, list[str]] = {}
    for line in (HERE / "slots.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, entries = line.split(": ", 1)
            found.setdefault(name, []).extend(entry.strip() for entry in entries.split(", "))
    return {name: tuple(entries) for name, entries in found.items()}


@cache
def templates() -> dict[str, tuple[str, ...]]:
    """The patterns of every section."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in (HERE / "templates.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            section = line[2:]
        elif line:
            found.setdefault(section, []).append(line)
    return {section: tuple(lines) for section, lines in found.items()}


def pick(options: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return options[rng.integers(len(options))]


def chosen(pattern: str, rng: np.random.Generator) -> str:
    """A pattern after its choices in round brackets are made, innermost first."""
    while found := CHOICE.search(pattern):
        option = pick(found.group(1).split("|"), rng)
        pattern = pattern[: found.start()] + option + pattern[found.end() :]
    return pattern


def filled(pattern: str, rng: np.random.Generator) -> str:
    """A pattern after its slots are filled, and the slots in what filled them."""

    def entry(found: re.Match[str]) -> str:
        value = pick(slots()[found.group(1)], rng)
        match found.group(2):
            case None:
                return value
            case "pl":
                return plural(value)
            case form:
                return inflected(value, form)

    while SLOT.search(pattern):
        pattern = SLOT.sub(entry, pattern)
    return pattern


def text_of(marked: str) -> Text:
    """Both forms of a filled pattern."""
    tidy = re.sub(r"\s+", " ", marked).strip().replace(" ,", ",")
    tidy = ARTICLE.sub(r"\1n ", tidy).replace("..", ".").replace(".?", "?")
    written, said = SPOKEN.sub(r"\1", tidy), SPOKEN.sub(r"\2", tidy)
    return Text(written[0].upper() + written[1:], said[0].upper() + said[1:])


@cache
def weights() -> np.ndarray:
    """How often each pattern is taken: one without slots says the same every time."""
    freedom = [min(2, len(SLOT.findall(line)) + line.count("(") / 2) for line in all_lines()]
    weighed = np.array(freedom) / 2 + FIXED_WEIGHT
    return weighed / weighed.sum()


@cache
def all_lines() -> tuple[str, ...]:
    return tuple(line for section in templates().values() for line in section)


def sentence(split: Split, rng: np.random.Generator) -> Text:
    """An everyday sentence of a split."""
    while True:
        pattern = all_lines()[rng.choice(len(weights()), p=weights())]
        text = text_of(filled(chosen(pattern, rng), rng))
        if len(text.words.split()) <= LONGEST_WORDS and split_of(text.words) == split:
            return text


@cache
def vocabulary() -> tuple[str, ...]:
    """Every single word of templates and slots, with the inflections that sentences need."""
    found: set[str] = set()
    proper: dict[str, str] = {"i": "I"}
    for name, entries in slots().items():
        for entry in entries:
            forms = [entry]
            if name in VERBS:
                forms += [inflected(entry, form) for form in ("s", "ed", "en", "ing")]
            bare = " ".join(SLOT.sub(" ", SPOKEN.sub(r"\2", form)) for form in forms)
            found |= set(Text("", bare).words.split())
            proper |= {word.lower(): word for word in bare.split() if word[0].isupper()}
    for line in all_lines():
        bare = SLOT.sub(" ", SPOKEN.sub(" ", line)).replace("|", " ")
        found |= set(Text("", bare).words.split())
    return tuple(sorted(proper.get(word, word) for word in found if len(word) > 1 or word in "ai"))


def random_words(split: Split, rng: np.random.Generator) -> Text:
    """Two to six words that have nothing to do with one another."""
    while True:
        count = int(rng.integers(2, 7))
        text = text_of(" ".join(rng.choice(vocabulary(), count)))
        if split_of(text.words) == split:
            return text


def single_word(rng: np.random.Generator) -> Text:
    """One word alone; both splits may say it."""
    return text_of(str(rng.choice(vocabulary())))


def digit(rng: np.random.Generator) -> Text:
    """Zero to ten, alone."""
    return text_of(number_words(int(rng.integers(0, 11))))


def number(split: Split, rng: np.random.Generator) -> Text:
    """A row of digits, or a number below ten thousand."""
    while True:
        if rng.random() < 0.6:
            digits = rng.integers(0, 10, int(rng.integers(2, 8)))
            said = " ".join(number_words(int(value)) for value in digits)
            text = text_of(f"{{{' '.join(map(str, digits))}|{said}}}")
        else:
            value = int(rng.integers(11, 10 ** int(rng.integers(2, 5)) + 11))
            text = text_of(f"{{{value}|{number_words(value)}}}")
        if split_of(text.words) == split:
            return text
