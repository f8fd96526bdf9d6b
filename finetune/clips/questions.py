"""Spoken questions, greetings and small requests, each with the answer that is right for it.

The fixed ones stand in `questions.txt`; those of `families` take arguments, among them arithmetic
that must be worked out from what was said. A question is known by its id and its arguments, as in
the index: `{"id": "add", "a": 3, "b": 4}`. Nothing here makes a sound.

    answer({"id": "add", "a": 3, "b": 4})     "Three plus four is seven."
    language({"id": "zh_hello"})              "zh"
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from finetune.clips.families import FAMILIES, Arguments, Language
from finetune.clips.numbers import chinese, words

ARITHMETIC = ("add", "subtract", "multiply", "half", "double", "zh_add")
FAMILY_SHARE = 0.45
ARITHMETIC_SHARE = 0.6


@dataclass(frozen=True)
class Fixed:
    """A question with one answer."""

    wordings: tuple[str, ...]
    reply: str
    language: Language


@dataclass(frozen=True)
class Asked:
    """One question as somebody says it."""

    question: Arguments
    text: str


@cache
def fixed_questions() -> dict[str, Fixed]:
    """The questions of questions.txt by their ids."""
    found: dict[str, Fixed] = {}
    text = Path(__file__).with_name("questions.txt").read_text(encoding="utf-8")
    for block in text.split("\n= ")[1:]:
        head, *wordings = block.strip().splitlines()
        name, language, reply = (part.strip() for part in head.split("|"))
        found[name] = Fixed(tuple(wordings), reply, "zh" if language == "zh" else "en")
    return found


def all_ids(language: Language | None = None) -> list[str]:
    """Every question that can be asked, fixed or with arguments."""
    entries = {**fixed_questions(), **FAMILIES}
    return [name for name, entry in entries.items() if language in (None, entry.language)]


def language(question: Arguments) -> Language:
    """In which language a question is asked, and is to be answered."""
    return (FAMILIES.get(question["id"]) or fixed_questions()[question["id"]]).language


def answer(question: Arguments) -> str:
    """The right answer, in the question's language.

    Raises:
        KeyError: for an id that there is not.
    """
    if question["id"] in FAMILIES:
        return FAMILIES[question["id"]].answer(question)
    return fixed_questions()[question["id"]].reply


def spoken(name: str, value: Any, question_language: Language) -> str:
    """An argument as it is said inside a question."""
    if not isinstance(value, int):
        return str(value)
    return chinese(value) if question_language == "zh" else words(value)


def asked(question: Arguments, wording: int) -> Asked:
    """A question in one of its wordings; `wording` counts round and round."""
    name = question["id"]
    entry = FAMILIES.get(name) or fixed_questions()[name]
    said = {key: spoken(key, value, entry.language) for key, value in question.items()}
    text = entry.wordings[wording % len(entry.wordings)].format(**said)
    return Asked(question, text[0].upper() + text[1:])


def drawn(language: Language, rng: np.random.Generator) -> Asked:
    """Any question of a language, arithmetic more often than others: it has more to learn."""
    families = [name for name, family in FAMILIES.items() if family.language == language]
    fixed = [name for name, question in fixed_questions().items() if question.language == language]
    if rng.random() < FAMILY_SHARE:
        sums = [name for name in families if name in ARITHMETIC]
        if rng.random() < ARITHMETIC_SHARE:
            families = sums
        name = families[rng.integers(len(families))]
        question = {"id": name, **FAMILIES[name].draw(rng)}
    else:
        question = {"id": fixed[rng.integers(len(fixed))]}
    return asked(question, int(rng.integers(1000)))


def of_id(name: str, rng: np.random.Generator) -> Asked:
    """A question of one id, its arguments and wording drawn."""
    arguments = FAMILIES[name].draw(rng) if name in FAMILIES else {}
    return asked({"id": name, **arguments}, int(rng.integers(1000)))
