"""The exam of the preview checkpoint: conversations about clips that it never heard.

Each case ends before the reply that is asked for. Every case of a clip kind takes another clip;
the conversations of "conversation" come in the shapes that break where a clip lands in the wrong
turn or gets lost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finetune import answers, pairs
from finetune.clips.library import Row
from finetune.rendering import Conversation
from finetune.shelf import Shelf, audio_part
from finetune.turns import TASKS, Rng, any_row, assistant, text, typed_turns, user, voice_turns
from finetune.wordings import prompt, untrained

Measure = Literal["exact", "words", "seconds"]


@dataclass(frozen=True)
class Case:
    """A question to the model, the right reply, and how the two are compared."""

    group: str
    name: str
    conversation: Conversation
    expected: str
    measure: Measure = "exact"


def typed_with(rows: list[Row], words: str) -> Conversation:
    return [user([*(audio_part(row) for row in rows), text(words)])]


def asked(group: str, task: str, measure: Measure = "exact") -> Callable[[Row, Rng], Case | None]:
    """Cases of one typed task in any English wording."""

    def make(row: Row, rng: Rng) -> Case | None:
        reply = TASKS[task](row, False)
        name = f"count_{row['of']}" if task == "count" else task
        if reply is None:
            return None
        words = prompt(name, False, rng)
        return Case(group, task, typed_with([row], words), reply, measure)

    return make


def spoken(group: str) -> Callable[[Row, Rng], Case | None]:
    """Cases of a clip without a word."""

    def make(row: Row, rng: Rng) -> Case | None:
        return Case(group, "voice", [user([audio_part(row)])], answers.voice(row))

    return make


def clip_cases(
    shelf: Shelf, kind: str, count: int, make: Callable[[Row, Rng], Case | None], seed: int
) -> Iterator[Case]:
    """Up to `count` cases, each with another clip of the kind."""
    rng = np.random.default_rng([seed, count])
    order = rng.permutation(len(shelf.kinds[kind]))
    made = (make(shelf.kinds[kind][place], rng) for place in order)
    for case, _ in zip((case for case in made if case), range(count), strict=False):
        yield case


def ending(conversation: Conversation, name: str) -> Case:
    """The case of a whole conversation's last reply."""
    return Case("conversation", name, conversation[:-1], conversation[-1]["content"])


def first_sound(shelf: Shelf, rng: Rng) -> Conversation:
    rows = [shelf.draw("sound", rng), shelf.draw("sound", rng)]
    turns = [turn for row in rows for turn in voice_turns(row)]
    words = prompt("nth_sound", False, rng, 0)
    return [*turns, user([text(words)]), assistant(answers.sound(rows[0], False))]


def repeat_later(shelf: Shelf, rng: Rng) -> Conversation:
    """What was said, asked for two turns later."""
    spoken_row = shelf.draw("question", rng)
    turns = [*voice_turns(spoken_row), *voice_turns(shelf.draw("sound", rng))]
    turns += typed_turns(shelf, rng)
    words = prompt("repeat", False, rng)
    return [*turns, user([text(words)]), assistant(answers.repeat(spoken_row, False))]


def louder(shelf: Shelf, rng: Rng) -> Conversation:
    """One loud and one quiet clip in one turn, in either order."""
    while True:
        rows = [any_row(shelf, rng), any_row(shelf, rng)]
        if {row["level"] for row in rows} == {"loud", "quiet"}:
            break
    reply = pairs.said_of_levels([str(row["level"]) for row in rows], True, False)
    return [*typed_with(rows, prompt("louder", False, rng)), assistant(reply)]


def either_order(shelf: Shelf, rng: Rng) -> Conversation:
    """A voice and a sound in one turn; which sound was it?"""
    rows = pairs.two_kinds(shelf, rng)
    place = 0 if not answers.is_speech(rows[0]) else 1
    words = prompt("nth_sound", False, rng, place)
    return [*typed_with(rows, words), assistant(answers.sound(rows[place], False))]


def third_turn(shelf: Shelf, rng: Rng) -> Conversation:
    """A clip after two turns without one."""
    row = shelf.draw("sound" if rng.random() < 0.5 else "question", rng)
    return [*typed_turns(shelf, rng), *typed_turns(shelf, rng), *voice_turns(row)]


def last_window(shelf: Shelf, rng: Rng) -> Conversation:
    """Two to four windows in one turn, the sound in the last."""
    rows = [shelf.draw("sentence", rng) for _ in range(int(rng.integers(1, 4)))]
    rows.append(shelf.draw("sound", rng))
    words = prompt("last_sound", False, rng)
    return [*typed_with(rows, words), assistant(answers.sound(rows[-1], False))]


def and_this_one(shelf: Shelf, rng: Rng) -> Conversation:
    rows = [shelf.draw("sound", rng), shelf.draw("sound", rng)]
    turns = [*typed_with(rows[:1], prompt("sound", False, rng))]
    turns += [assistant(answers.sound(rows[0], False))]
    turns += typed_with(rows[1:], prompt("again", False, rng))
    return [*turns, assistant(answers.sound(rows[1], False))]


CONVERSATIONS = {
    maker.__name__: maker
    for maker in (
        *(first_sound, repeat_later, louder, either_order, third_turn, last_window),
        and_this_one,
    )
}


def honest_cases(shelf: Shelf, count: int, seed: int) -> Iterator[Case]:
    """Typed requests without a clip, and requests about a clip that were not learned."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        if number % 2:
            typed = typed_turns(shelf, rng)
            yield Case("honest", "typed", typed[:1], typed[1]["content"])
        else:
            words = untrained("en_clip", rng)
            turns = typed_with([any_row(shelf, rng)], words)
            yield Case("honest", "with a clip", turns, answers.honest(zh=False))


def exam(test: Shelf, human: Shelf, size: int, seed: int = 7) -> list[Case]:
    """All cases; `size` is how many a group has, where there are so many clips.

    Sentences are four times as many, and people's twice: word errors differ most by voice and text.
    """
    plan = [
        (test, "sentence", size * 4, asked("sentences", "transcribe", "words")),
        (test, "sentence", size // 4, spoken("voice sentences")),
        (test, "sound", size, asked("sounds", "sound")),
        (test, "count", size, asked("counts", "count")),
        (test, "question", size, spoken("spoken questions")),
        (test, "question_zh", size // 2, spoken("spoken questions, Chinese")),
        (test, "sentence", size // 2, asked("man or woman", "gender")),
        (test, "sentence", size // 4, asked("loud or quiet", "level")),
        (test, "sound", size // 4, asked("high or low", "pitch")),
        (test, "sentence", size // 4, asked("length", "length", "seconds")),
        (human, "digit", size, asked("people: digits", "transcribe", "words")),
        (human, "sentence", size * 2, asked("people: sentences", "transcribe", "words")),
    ]
    cases = [
        case
        for shelf, kind, count, make in plan
        for case in clip_cases(shelf, kind, count, make, seed)
    ]
    for number, (name, maker) in enumerate(CONVERSATIONS.items()):
        rngs = (np.random.default_rng([seed, number, place]) for place in range(size // 5))
        cases += [ending(maker(test, rng), name) for rng in rngs]
    return [*cases, *honest_cases(test, size // 2, seed)]
