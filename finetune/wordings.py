"""What people type: prompts by task from `prompts.txt`, and requests that nothing was learned for.

Every line of `untrained.txt` may hold `<slots>`. This module knows no clips.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

HERE = Path(__file__).parent
LANGUAGES = ("French", "German", "Chinese", "English", "Spanish", "Japanese", "Italian")
CHINESE_LANGUAGES = ("法语", "德语", "中文", "英语", "西班牙语", "日语", "意大利语")
ORDINALS = ("first", "second", "third", "fourth")
ORDINALS_ZH = "一二三四"
SLOT = re.compile(r"<([a-z_]+)>")
CHINESE = re.compile("[\u4e00-\u9fff]")


T = TypeVar("T")


def pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


def is_chinese(text: str) -> bool:
    return bool(CHINESE.search(text))


@cache
def sections(name: str) -> dict[str, tuple[str, ...]]:
    """The lines under each "= name" of a text file beside this one."""
    blocks = (HERE / name).read_text(encoding="utf-8").split("\n= ")[1:]
    split = [block.strip().splitlines() for block in blocks]
    return {lines[0]: tuple(lines[1:]) for lines in split}


def prompt(task: str, zh: bool, rng: np.random.Generator, place: int = 0, sound: str = "") -> str:
    """A wording of a task; `place` counts clips from 0. English where there is no Chinese one."""
    lines = sections("prompts.txt")[task]
    fitting = [line for line in lines if is_chinese(line) == zh] or lines
    return loosely(
        pick(fitting, rng).format(
            n=ORDINALS[place],
            N=place + 1,
            z=ORDINALS_ZH[place],
            sound=sound,
            language=pick(LANGUAGES, rng),
            chinese_language=pick(CHINESE_LANGUAGES, rng),
        ),
        rng,
    )


def untrained(section: str, rng: np.random.Generator) -> str:
    """A request that nothing was learned for, its slots filled."""
    lines = sections("untrained.txt")
    text = pick(lines[section], rng)

    def fill(slot: re.Match[str]) -> str:
        return pick(lines[slot[1]][0].split(" | "), rng)

    return loosely(SLOT.sub(fill, text), rng)


def loosely(text: str, rng: np.random.Generator) -> str:
    """As people type: now and then in lower case, or without the mark at the end."""
    if rng.random() < 0.15:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.15 and len(text) > 1:
        text = text.rstrip("?.!？。！")
    return text or "?"
