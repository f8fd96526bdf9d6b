"""Conversations about the clips of a shelf, drawn from a seed: what the preview learns to do.

Each function makes one kind of conversation in the model card's form, with the assistant's turns
as the preview is to say them. This module knows neither tokens nor sound.
"""

from collections.abc import Callable

from finetune import answers
from finetune.answers import is_speech
from finetune.clips.library import Row
from finetune.pairs import back_references, leveled, together, two_kinds
from finetune.rendering import Conversation
from finetune.shelf import Shelf
from finetune.turns import (
    TASKS,
    Rng,
    any_row,
    asked,
    assistant,
    clip_turns,
    drawn,
    further_turns,
    in_chinese,
    tasks_for,
    typed_turns,
    voice_turns,
    with_clips,
)
from finetune.wordings import prompt

SYSTEM_SHARE = 0.12
WINDOW_SHARES = {"sentence": 0.5, "sound": 0.3, "long": 0.2}
MESSAGE_SHARES = {"sentence": 0.4, "long": 0.6}


def voice_chat(shelf: Shelf, rng: Rng) -> Conversation:
    """A clip without a word, then perhaps another."""
    turns = voice_turns(any_row(shelf, rng))
    if rng.random() < 0.25:
        turns += voice_turns(any_row(shelf, rng))
    return turns


def spoken_question(shelf: Shelf, rng: Rng) -> Conversation:
    return voice_turns(shelf.draw("question_zh" if rng.random() < 0.2 else "question", rng))


def analysis(shelf: Shelf, rng: Rng) -> Conversation:
    """One clip, a question, and perhaps more about it."""
    row = any_row(shelf, rng)
    return clip_turns(row, rng) + further_turns(row, rng)


def typed(shelf: Shelf, rng: Rng) -> Conversation:
    """One or two turns without a clip, then perhaps a clip."""
    turns = typed_turns(shelf, rng)
    if rng.random() < 0.4:
        turns += typed_turns(shelf, rng)
    if rng.random() < 0.6:
        row = any_row(shelf, rng)
        turns += clip_turns(row, rng) + further_turns(row, rng, most=1)
    return turns


def remembered(shelf: Shelf, rng: Rng) -> Conversation:
    """Clips turn by turn, then questions about one that lies turns back."""
    rows = two_kinds(shelf, rng)
    if rng.random() < 0.4:
        rows = [any_row(shelf, rng) for _ in range(int(rng.integers(2, 4)))]
    turns: Conversation = []
    for row in rows:
        turns += clip_turns(row, rng)
        if rng.random() < 0.2:
            turns += typed_turns(shelf, rng)
    return turns + back_references(rows, rng)


def pitched(shelf: Shelf, rng: Rng) -> Conversation:
    """High or low? Few clips can be asked that, so they get a place of their own."""
    row = shelf.draw("pitched", rng)
    zh = in_chinese(rng)
    reply = answers.pitch(row, zh)
    assert reply is not None
    return [with_clips([row], prompt("pitch", zh, rng), rng), assistant(reply)]


def windows(shelf: Shelf, rng: Rng) -> Conversation:
    """A long clip as the app sends it: two to four windows in one turn, the answer in the last."""
    last = any_row(shelf, rng)
    rows = [window(shelf, rng) for _ in range(int(rng.integers(1, 4)))] + [last]
    zh = in_chinese(rng)
    if is_speech(last):
        words, reply = prompt("last_say", zh, rng), answers.say(last, zh)
    else:
        words, reply = prompt("last_sound", zh, rng), answers.sound(last, zh)
    if all(is_speech(row) for row in rows) and rng.random() < 0.5:
        words = prompt("transcribe", zh, rng)
        reply = " ".join(answers.transcribe(row, zh) for row in rows)
    turns = [with_clips(rows, words, rng), assistant(reply)]
    return turns + (back_references(rows, rng, most=1) if rng.random() < 0.3 else [])


def message(shelf: Shelf, rng: Rng) -> Conversation:
    """A long message of speech, all of its two to four windows to be written down."""
    kinds = [drawn(MESSAGE_SHARES, rng) for _ in range(int(rng.integers(2, 5)))]
    rows = [shelf.draw(kind, rng) for kind in kinds]
    zh = in_chinese(rng)
    reply = " ".join(answers.transcribe(row, zh) for row in rows)
    return [with_clips(rows, prompt("transcribe", zh, rng), rng), assistant(reply)]


def window(shelf: Shelf, rng: Rng) -> Row:
    return shelf.draw(drawn(WINDOW_SHARES, rng), rng)


def long_clip(shelf: Shelf, rng: Rng) -> Conversation:
    """Several sentences in one clip, up to the whole window."""
    row = shelf.draw("long", rng)
    if rng.random() < 0.3:
        return voice_turns(row)
    words, reply = asked(row, rng)
    return [with_clips([row], words, rng), assistant(reply)]


def next_one(shelf: Shelf, rng: Rng) -> Conversation:
    """The same question on one clip after another: "And this one?"."""
    first = any_row(shelf, rng)
    while True:
        task = drawn(tasks_for(first), rng)
        second = any_row(shelf, rng)
        zh = in_chinese(rng)
        replies = [TASKS[task](row, zh) for row in (first, second)]
        if None not in replies and task not in ("answer", "describe"):
            break
    turns = [with_clips([first], prompt(task, zh, rng), rng), assistant(str(replies[0]))]
    return [*turns, with_clips([second], prompt("again", zh, rng), rng), assistant(str(replies[1]))]


SHARES: dict[str, float] = {
    **{"voice_chat": 0.11, "spoken_question": 0.15, "analysis": 0.17, "typed": 0.02},
    **{"remembered": 0.12, "together": 0.08, "leveled": 0.07, "pitched": 0.02},
    **{"windows": 0.08, "message": 0.07, "long_clip": 0.09, "next_one": 0.02},
}
MAKERS: dict[str, Callable[[Shelf, Rng], Conversation]] = {
    **{maker.__name__: maker for maker in (voice_chat, spoken_question, analysis, typed)},
    **{maker.__name__: maker for maker in (remembered, together, leveled, pitched)},
    **{maker.__name__: maker for maker in (windows, message, long_clip, next_one)},
}


def conversation(shelf: Shelf, rng: Rng) -> Conversation:
    """Any conversation, now and then under another system prompt."""
    turns = MAKERS[drawn(SHARES, rng)](shelf, rng)
    if rng.random() < SYSTEM_SHARE:
        return [{"role": "system", "content": prompt("system", rng.random() < 0.3, rng)}, *turns]
    return turns
