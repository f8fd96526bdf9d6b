"""Something to learn: ten invented words and a sound, none of which the preview knows.

    python -m finetune.lesson --output DIR [--seed 1]

DIR/learn.jsonl has clips of the new in many voices, DIR/keep.jsonl some of what the preview knows
already, for `python -m finetune rehearse`. DIR/new.jsonl and DIR/old.jsonl hold other voices, words
and sounds of the same kinds, to be tested on. The clips are made by `finetune.clips`; this module
knows no model.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from finetune import answers
from finetune.clips.augment import Treatment
from finetune.clips.library import SAMPLE_RATE, Row, Split
from finetune.clips.plan import Planned, Shard, blank_row, made, plan_speech, planned
from finetune.clips.sentences import Text
from finetune.clips.things import click
from finetune.clips.tones import Rng
from finetune.manifest import write_manifest
from finetune.rendering import Conversation
from finetune.turns import TASKS, assistant, clip_turns, text, user
from finetune.wordings import pick, prompt

WORDS = (
    *("Zorbika", "Quandril", "Fimbolo", "Talovee", "Braskit"),
    *("Ondarra", "Pelixo", "Gwendaf", "Mavunto", "Skeezle"),
)
SOUND, SAID = "bouncing ball", "I hear a bouncing ball."
QUICK = ("espeak-ng", "flite")  # synthesizers that need no model and no long start
Converse = Callable[[Row, str, Rng], Conversation]
OLD_KINDS = ("sound", "question", "count", "question", "sound", "digit")


@dataclass(frozen=True)
class Size:
    """How many words; how many clips of each new word, of the new sound, and of the old."""

    words: int = len(WORDS)
    word: int = 12
    sound: int = 24
    old: int = 120
    tested_word: int = 6
    tested_sound: int = 20
    tested_old: int = 200


def bouncing_ball(rng: Rng) -> np.ndarray:
    """A ball let fall: knocks that come ever sooner and softer."""
    gap, bounce = rng.uniform(0.35, 0.6), rng.uniform(0.72, 0.82)
    hertz, strength, at = rng.uniform(350, 900), 1.0, 0.02
    heard = np.zeros(int((gap / (1 - bounce) + 0.3) * SAMPLE_RATE), np.float32)
    while gap > 0.03:
        one = click(rng, hertz, 0.012) * strength
        start = int(at * SAMPLE_RATE)
        heard[start : start + len(one)] += one[: len(heard) - start]
        at, gap, strength = at + gap, gap * bounce, strength * bounce**0.5
    return heard[: int((at + 0.2) * SAMPLE_RATE)]


def quick(split: Split, number: int, clip: int, seed: int, word: Text) -> Planned:
    """A word in a voice of `split` that is quickly made."""
    shard = Shard(split, number, seed)

    def drawn(draw: int) -> Planned:
        plan = Planned(blank_row(shard, clip, "word"), shard.rng(1000 * clip + draw), gentle=True)
        plan_speech(plan, word, split)
        return plan

    plans = (drawn(draw) for draw in range(100))
    plan = next(one for one in plans if one.casting and one.casting.utterance.synthesizer in QUICK)
    plan.treatment = Treatment.drawn(plan.rng, gentle=True)
    return plan


def new_words(split: Split, number: int, words: int, each: int, seed: int) -> list[Planned]:
    return [
        quick(split, number, len(WORDS) * turn + place, seed, Text(word, word.lower()))
        for turn in range(each)
        for place, word in enumerate(WORDS[:words])
    ]


def new_sounds(split: Split, number: int, count: int, seed: int) -> list[Planned]:
    shard = Shard(split, number, seed)
    plans = []
    for clip in range(count):
        rng = shard.rng(500_000 + clip)
        row = blank_row(shard, 500_000 + clip, "sound") | {"sound": SOUND}
        treatment = Treatment.drawn(rng, gentle=True)
        plans.append(Planned(row, rng, True, sound=bouncing_ball(rng), treatment=treatment))
    return plans


def old_clips(split: Split, number: int, count: int, seed: int) -> list[Planned]:
    """Sounds, counts, spoken questions and digits as the preview learned them."""
    shard, plans = Shard(split, number, seed), []
    turns = dict.fromkeys(OLD_KINDS, 0)
    for clip in range(10 * count):
        if len(plans) == count:
            break
        kind = OLD_KINDS[len(plans) % len(OLD_KINDS)]
        plan = planned(shard, 600_000 + clip, kind, turns[kind])
        if plan.casting is None or plan.casting.utterance.synthesizer in QUICK:
            plans.append(plan)
            turns[kind] += 1
    return plans


def about(row: Row, url: str, rng: Rng) -> Conversation:
    """A question about a new word or the new sound, and its answer."""
    part = {"type": "audio", "audio_url": url}
    if row["sound"] == SOUND:
        return [user([part, text(prompt("sound", False, rng))]), assistant(SAID)]
    task = pick(("transcribe", "say"), rng)
    reply = TASKS[task](row, False)
    return [user([part, text(prompt(task, False, rng))]), assistant(str(reply))]


def examined(row: Row, url: str, rng: Rng) -> Conversation:
    """The plainest question about an old clip, and its answer."""
    part = {"type": "audio", "audio_url": url}
    if row["question"]:
        return [user([part]), assistant(answers.voice(row))]
    task = "transcribe" if row["text"] else "count" if row["count"] else "sound"
    name = f"count_{row['of']}" if task == "count" else task
    words = text(prompt(name, False, rng))
    return [user([part, words]), assistant(str(TASKS[task](row, False)))]


def rehearsed(row: Row, url: str, rng: Rng) -> Conversation:
    """Anything that the preview learned about such a clip."""
    if rng.random() < 0.5:
        return examined(row, url, rng)
    first, *rest = clip_turns(row, rng)
    heard = {"type": "audio", "audio_url": url}
    parts = [heard if part["type"] == "audio" else part for part in first["content"]]
    return [{**first, "content": parts}, *rest]


def written(
    folder: Path, plans: list[Planned], converse: Converse, seed: int
) -> Iterator[Conversation]:
    """A conversation about each clip that was planned, its clip written beside the manifests."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    for place, (row, samples) in enumerate(made(plans, seed)):
        url = f"clips/{row['id']}.flac"
        soundfile.write(folder / url, samples, SAMPLE_RATE)
        known = {**row, "seconds": len(samples) / SAMPLE_RATE}
        yield converse(known, url, np.random.default_rng([seed, place, len(plans)]))


def make(folder: Path, size: Size = Size(), seed: int = 1) -> None:
    """Writes the clips and the four manifests."""

    def new(split: Split, number: int, word: int, sound: int) -> Iterator[Conversation]:
        plans = new_words(split, number, size.words, word, seed)
        return written(folder, plans + new_sounds(split, number, sound, seed), about, seed)

    def old(split: Split, number: int, count: int, talk: Converse) -> Iterator[Conversation]:
        return written(folder, old_clips(split, number, count, seed), talk, seed)

    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "learn.jsonl", new("train", 9001, size.word, size.sound))
    write_manifest(folder / "keep.jsonl", old("train", 9002, size.old, rehearsed))
    write_manifest(folder / "new.jsonl", new("test", 9003, size.tested_word, size.tested_sound))
    write_manifest(folder / "old.jsonl", old("test", 9004, size.tested_old, examined))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune.lesson", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    make(options.output, seed=options.seed)
    print(f"{options.output}: learn.jsonl, keep.jsonl, new.jsonl, old.jsonl")


if __name__ == "__main__":
    main()
