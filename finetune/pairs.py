"""Questions on several clips: which is which, which is louder, and what an earlier one was.

The clips lie in one turn or in turns before; each function gives turns or a question with its
answer. This module knows neither tokens nor sound.
"""

import numpy as np

from finetune import answers
from finetune.answers import is_speech
from finetune.clips.library import Row
from finetune.rendering import Conversation
from finetune.shelf import Shelf, same_kind
from finetune.turns import (
    TASKS,
    Rng,
    any_row,
    assistant,
    drawn,
    in_chinese,
    text,
    user,
    with_clips,
)
from finetune.wordings import ORDINALS, pick, prompt

SPEECH_SHARES = {"sentence": 0.8, "short": 0.15, "question": 0.05}
NOISE_SHARES = {"sound": 0.7, "count": 0.3}


def two_kinds(shelf: Shelf, rng: Rng) -> list[Row]:
    """A clip of speech and a sound, in either order."""
    rows = [shelf.draw(drawn(SPEECH_SHARES, rng), rng), shelf.draw(drawn(NOISE_SHARES, rng), rng)]
    return rows if rng.random() < 0.5 else rows[::-1]


def back_references(rows: list[Row], rng: Rng, most: int = 2) -> Conversation:
    turns: Conversation = []
    for _ in range(int(rng.integers(1, most + 1))):
        words, reply = back_reference(rows, rng)
        turns += [user([text(words)]), assistant(reply)]
    return turns


def back_reference(rows: list[Row], rng: Rng) -> tuple[str, str]:
    """A question about one of the clips heard so far, and its answer."""
    zh = in_chinese(rng)
    speech = [row for row in rows if is_speech(row)]
    noises = [row for row in rows if not is_speech(row)]
    if len(speech) == 1 and rng.random() < 0.4:
        return prompt("repeat", zh, rng), answers.repeat(speech[0], zh)
    if len(noises) == 1 and rng.random() < 0.4:
        return prompt("remember", zh, rng), answers.sound(noises[0], zh)
    return nth_question(rows, zh, rng)


def nth_question(rows: list[Row], zh: bool, rng: Rng) -> tuple[str, str]:
    place = int(rng.integers(len(rows)))
    row = rows[place]
    fitting = ["sound", "sound", "length"]
    if is_speech(row):
        fitting += ["say", "say", "transcribe"] + ["gender"] * (row["gender"] is not None)
    elif row["count"]:
        fitting += ["count", "count"]
    task = pick(fitting, rng)
    reply = TASKS[task](row, zh)
    assert reply is not None
    return prompt(f"nth_{task}", zh, rng, place), reply


def together(shelf: Shelf, rng: Rng) -> Conversation:
    """Two clips in one turn, in either order, and questions about them."""
    rows = two_kinds(shelf, rng)
    if rng.random() < 0.5:
        rows = [any_row(shelf, rng), any_row(shelf, rng)]
    words, reply = about_both(rows, rng)
    turns = [with_clips(rows, words, rng), assistant(reply)]
    if rng.random() < 0.5:
        turns += back_references(rows, rng)
    return turns


def leveled(shelf: Shelf, rng: Rng) -> Conversation:
    """A loud and a quiet clip in one turn: which is which?"""
    while True:
        rows = [any_row(shelf, rng), any_row(shelf, rng)]
        if {row["level"] for row in rows} == {"loud", "quiet"}:
            break
    found = which_is_more(rows, in_chinese(rng), rng)
    assert found is not None
    return [with_clips(rows, found[0], rng), assistant(found[1])]


def about_both(rows: list[Row], rng: Rng) -> tuple[str, str]:
    """A question on two clips that lie in the same turn."""
    zh = in_chinese(rng)
    options = [which_is_which, which_is_more, both, both, nth_question, nth_question]
    while True:
        found = pick(options, rng)(rows, zh, rng)
        if found:
            return found


def said_of_place(place: int, what: str, zh: bool) -> str:
    if zh:
        return f"第{'一二三四'[place]}段{what}。"
    return f"The {ORDINALS[place]} clip is {what}."


LEVELS = {
    "quiet": ("quiet", "很轻"),
    "normal": ("of normal loudness", "音量正常"),
    "loud": ("loud", "很响"),
}


def said_of_levels(levels: list[str], louder: bool, zh: bool) -> str:
    """How loud the first clip is and how loud the second, and then which is louder or quieter.

    A small model that has to say how loud each is needs not compare before it speaks.
    """
    order = list(LEVELS)
    place = int(order.index(levels[1]) > order.index(levels[0])) ^ (not louder)
    first, second = (LEVELS[level][zh] for level in levels)
    if zh:
        return (
            f"第一段{first}，第二段{second}，所以第{'一二'[place]}段更{'响' if louder else '轻'}。"
        )
    more = "louder" if louder else "quieter"
    return f"The first clip is {first} and the second {second}, so the {ORDINALS[place]} is {more}."


def which_is_more(rows: list[Row], zh: bool, rng: Rng) -> tuple[str, str] | None:
    """Louder, quieter, longer or shorter, where the two differ enough to hear it."""
    options: list[tuple[str, str]] = []
    levels = [row["level"] for row in rows]
    if levels[0] != levels[1] and None not in levels:
        options += [("louder", said_of_levels(levels, True, zh))] * 3
        options += [("quieter", said_of_levels(levels, False, zh))] * 2
    seconds = [row["seconds"] for row in rows]
    if max(seconds) > 1.5 * min(seconds) + 0.3:
        longer, shorter = int(np.argmax(seconds)), int(np.argmin(seconds))
        options += [("longer", said_of_place(longer, "更长" if zh else "longer", zh))]
        options += [("shorter", said_of_place(shorter, "更短" if zh else "shorter", zh))]
    if not options:
        return None
    task, reply = pick(options, rng)
    return prompt(task, zh, rng), reply


def which_is_which(rows: list[Row], zh: bool, rng: Rng) -> tuple[str, str] | None:
    if same_kind(*rows) or "silence" in (rows[0]["sound"], rows[1]["sound"]):
        return None
    place = int(rng.integers(2))
    name = answers.sound_name(rows[place], zh=False)
    if is_speech(rows[place]) and rng.random() < 0.7:
        return prompt("which_speech", zh, rng), said_of_place(
            place, "是有人在说话" if zh else name, zh
        )
    return prompt("which_sound", False, rng, sound=name), said_of_place(place, name, zh=False)


def both(rows: list[Row], zh: bool, rng: Rng) -> tuple[str, str] | None:
    if all(is_speech(row) for row in rows):
        return prompt("both_transcribe", zh, rng), " ".join(answers.transcribe(r, zh) for r in rows)
    names = [answers.sound_name(row, zh) for row in rows]
    if zh:
        return prompt("both_sounds", zh, rng), f"我先听到{names[0]}，然后听到{names[1]}。"
    return prompt("both_sounds", zh, rng), f"First I hear {names[0]}, then {names[1]}."
