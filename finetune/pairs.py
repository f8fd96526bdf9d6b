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


def which_is_more(rows: list[Row], zh: bool, rng: Rng) -> tuple[str, str] | None:
    """Louder, quieter, longer or shorter, where the two differ enough to hear it."""
    options: list[tuple[str, str, int]] = []
    order = {"quiet": 0, "normal": 1, "loud": 2, None: 1}
    levels = [order[row["level"]] for row in rows]
    if levels[0] != levels[1] and None not in [row["level"] for row in rows]:
        options += [("louder", "更响", int(np.argmax(levels)))] * 3
        options += [("quieter", "更轻", int(np.argmin(levels)))] * 2
    seconds = [row["seconds"] for row in rows]
    if max(seconds) > 1.5 * min(seconds) + 0.3:
        options += [("longer", "更长", int(np.argmax(seconds)))]
        options += [("shorter", "更短", int(np.argmin(seconds)))]
    if not options:
        return None
    task, what, place = pick(options, rng)
    return prompt(task, zh, rng), said_of_place(place, what if zh else task, zh)


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
