"""Turns of a conversation about clips: what people type or say, and what the preview replies.

A turn is in the model card's form; every draw comes from the generator that is handed in. This
module knows neither tokens nor sound.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from finetune import answers
from finetune.answers import is_speech
from finetune.clips.library import Row
from finetune.rendering import Conversation
from finetune.shelf import Shelf, audio_part
from finetune.wordings import pick, prompt, untrained

Rng = np.random.Generator
Part = dict[str, Any]
CHINESE_SHARE = 0.12
UNABLE_SHARE = 0.05
TEXT_FIRST_SHARE = 0.12
HONEST_TASKS = ("translate", "emotion")
KIND_SHARES = {
    **{"sentence": 0.54, "short": 0.07, "digit": 0.04, "question": 0.16, "question_zh": 0.03},
    **{"sound": 0.10, "count": 0.06},
}
TASKS: dict[str, Callable[[Row, bool], str | None]] = {
    "transcribe": answers.transcribe,
    "say": answers.say,
    "sound": answers.sound,
    "describe": answers.describe,
    "count": answers.count,
    "gender": answers.gender,
    "level": answers.level,
    "pitch": answers.pitch,
    "length": answers.length,
    "answer": answers.answer,
    "music": answers.music,
}
SPEECH_TASKS = {
    **{"transcribe": 8, "say": 4, "gender": 2.2, "level": 2, "length": 0.5, "sound": 0.3},
    **{"describe": 0.7, "music": 0.2, "answer": 0.5, "count": 0.1},
}
QUESTION_TASKS = {"answer": 4, "transcribe": 1, "say": 1, "gender": 0.4, "describe": 0.3}
SOUND_TASKS = {
    **{"sound": 5, "describe": 1.2, "music": 1, "level": 2, "pitch": 2, "length": 1, "count": 0.5},
    **{"transcribe": 0.6, "say": 0.4, "gender": 0.3},
}
COUNT_TASKS = {"count": 6, "sound": 1, "describe": 0.5, "level": 0.5, "length": 0.5, "pitch": 0.5}


def drawn(shares: dict[str, float], rng: Rng) -> str:
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def any_row(shelf: Shelf, rng: Rng) -> Row:
    return shelf.draw(drawn(KIND_SHARES, rng), rng)


def in_chinese(rng: Rng) -> bool:
    return bool(rng.random() < CHINESE_SHARE)


def user(parts: list[Part]) -> dict[str, Any]:
    return {"role": "user", "content": parts}


def text(words: str) -> Part:
    return {"type": "text", "text": words}


def assistant(words: str) -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def with_clips(rows: list[Row], words: str, rng: Rng) -> dict[str, Any]:
    """A turn of clips and words, the words now and then first."""
    clips = [audio_part(row) for row in rows]
    if rng.random() < TEXT_FIRST_SHARE:
        return user([text(words), *clips])
    return user([*clips, text(words)])


def tasks_for(row: Row) -> dict[str, float]:
    if row["question"]:
        return QUESTION_TASKS
    if is_speech(row):
        return SPEECH_TASKS
    return COUNT_TASKS if row["count"] else SOUND_TASKS


def asked(row: Row, rng: Rng) -> tuple[str, str]:
    """A typed question that fits a clip, and its answer."""
    zh = in_chinese(rng)
    if rng.random() < UNABLE_SHARE:
        return unable(zh, rng), answers.honest(zh)
    while True:
        task = drawn(tasks_for(row), rng)
        reply = TASKS[task](row, zh)
        if reply is not None:
            if task == "count" and row["of"] and rng.random() < 0.7:
                task = f"count_{row['of']}"
            return prompt(task, zh, rng), reply


def unable(zh: bool, rng: Rng) -> str:
    """A request about a clip that the preview cannot fulfil."""
    kind = pick(("task", "task", "clip", "clip", "typed"), rng)
    if kind == "task":
        return prompt(pick(HONEST_TASKS, rng), zh, rng)
    return untrained(("zh" if zh else "en") + ("_clip" if kind == "clip" else ""), rng)


def typed_turns(shelf: Shelf, rng: Rng) -> Conversation:
    """Words without a clip, and the honest sentence."""
    zh = bool(rng.random() < 0.3)
    words = untrained("zh" if zh else "en", rng)
    if rng.random() < 0.12:
        words = prompt(pick(list(TASKS), rng), zh, rng)
    elif rng.random() < 0.25:
        row = shelf.draw(pick(("sentence", "question", "question_zh"), rng), rng)
        words, zh = row["text"], row["language"] == "zh"
    return [user([text(words)]), assistant(answers.honest(zh))]


def voice_turns(row: Row) -> Conversation:
    return [user([audio_part(row)]), assistant(answers.voice(row))]


def question_turns(row: Row, rng: Rng) -> Conversation:
    words, reply = asked(row, rng)
    return [with_clips([row], words, rng), assistant(reply)]


def clip_turns(row: Row, rng: Rng) -> Conversation:
    return voice_turns(row) if rng.random() < 0.35 else question_turns(row, rng)


def further_turns(row: Row, rng: Rng, most: int = 2) -> Conversation:
    """More questions about the same clip, without it."""
    turns: Conversation = []
    for _ in range(int(rng.integers(0, most + 1))):
        words, reply = asked(row, rng)
        turns += [user([text(words)]), assistant(reply)]
    return turns
