"""What each shard of the library holds, all of it drawn from the seed and the shard's number.

A clip is planned first (kind, words, voice, treatment) and made afterwards, so that one process
of a synthesizer serves a whole shard. Shards do not depend on one another: any of them can be
made again, alone, in any order.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from finetune.clips import phrases, questions, sentences, sounds, tones
from finetune.clips.augment import Treatment
from finetune.clips.library import Row, Split
from finetune.clips.sentences import Text
from finetune.clips.speakers import Casting, cast
from finetune.clips.synthesizers import say_all

SHARD_CLIPS = 250
SPLIT_CODES: dict[Split, int] = {"train": 0, "test": 1}
SHARES: dict[Split, dict[str, float]] = {
    "train": {
        **{"sentence": 0.60, "words": 0.06, "word": 0.025, "digit": 0.03, "number": 0.03},
        **{"question": 0.15, "question_zh": 0.025, "sound": 0.05, "count": 0.03},
    },
    "test": {
        **{"sentence": 0.25, "words": 0.05, "word": 0.03, "digit": 0.06, "number": 0.05},
        **{"question": 0.18, "question_zh": 0.06, "sound": 0.20, "count": 0.12},
    },
}
COUNTS = 6
PHRASE_SHARE = 0.5  # of the sentences to train on


@dataclass(frozen=True)
class Shard:
    """One file of the library: its split and its number in it."""

    split: Split
    number: int
    seed: int
    clips: int = SHARD_CLIPS

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:04d}"

    def rng(self, clip: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, SPLIT_CODES[self.split], self.number, clip])


@dataclass
class Planned:
    """A clip before its treatment: what the index says of it, and its sound or who says it."""

    row: Row
    rng: np.random.Generator
    gentle: bool = False
    casting: Casting | None = None
    sound: np.ndarray | None = None
    treatment: Treatment | None = field(default=None)


def blank_row(shard: Shard, clip: int, kind: str) -> Row:
    """Every field of a row; what does not apply to a clip stays None.

    `text` is what is said as one writes it, `words` the same in lower case without punctuation
    ("" for Chinese). `question` has an id and its arguments. `sound` is a name of
    `sounds.SOUNDS` (or "beeping"), `count` goes with `of`. `file`, `offset`, `samples` and
    `seconds` are added by `library.write_shard`.
    """
    return {
        **{"id": f"{shard.name}-{clip:03d}", "split": shard.split, "kind": kind},
        **{"text": None, "words": None, "question": None, "language": None},
        **{"sound": None, "count": None, "of": None, "pitch": None, "hertz": None},
        **{"synthesizer": None, "voice": None, "speaker": None, "gender": None},
        **{"level": None, "augmentation": {}},
    }


def kinds(shard: Shard) -> list[str]:
    """The kind of each clip of a shard, in their shares, mixed."""
    shares = SHARES[shard.split]
    bounds = np.cumsum([0, *shares.values()]) * shard.clips
    counts = np.diff(np.round(bounds)).astype(int)
    listed = np.repeat(list(shares), counts)
    shard.rng(-1 % 10_000).shuffle(listed)
    return [str(kind) for kind in listed]


def planned(shard: Shard, clip: int, kind: str, turn: int) -> Planned:
    """Decide one clip. `turn` counts the clips of this kind, so that every name has its turn."""
    rng = shard.rng(clip)
    plan = Planned(blank_row(shard, clip, kind), rng)
    match kind:
        case "sound":
            plan_sound(plan, turn)
        case "count":
            plan_count(plan, turn)
        case "question" | "question_zh":
            language = "zh" if kind == "question_zh" else "en"
            plan_question(plan, shard.split, language, turn)
        case _:
            plan_speech(plan, text_of_kind(kind, shard.split, rng), shard.split)
    plan.treatment = Treatment.drawn(rng, plan.gentle)
    if plan.row["sound"] != "silence":
        plan.row["level"] = plan.treatment.level
        plan.row["augmentation"] = plan.treatment.as_row()
    return plan


def text_of_kind(kind: str, split: Split, rng: np.random.Generator) -> Text:
    match kind:
        case "sentence" if split == "train" and rng.random() < PHRASE_SHARE:
            return phrases.phrase(rng)
        case "sentence":
            return sentences.sentence(split, rng)
        case "words":
            return sentences.random_words(split, rng)
        case "number":
            return sentences.number(split, rng)
        case "digit":
            return sentences.digit(rng)
        case "word":
            return sentences.single_word(rng)
        case _:
            raise ValueError(f"no text for kind {kind!r}")


def plan_speech(
    plan: Planned, text: Text, split: Split, language: Literal["en", "zh"] = "en"
) -> None:
    plan.casting = cast(text.said, split, language, plan.rng)
    said, utterance = plan.casting, plan.casting.utterance
    words = text.words if language == "en" else ""
    plan.row |= {"text": text.written, "words": words, "language": language}
    plan.row |= {"synthesizer": utterance.synthesizer, "voice": utterance.voice}
    plan.row |= {"speaker": said.speaker, "gender": said.gender}


def plan_question(plan: Planned, split: Split, language: Literal["en", "zh"], turn: int) -> None:
    """Training draws freely; testing goes through every id in turn."""
    asked = questions.drawn(language, plan.rng)
    if split == "test":
        ids = questions.all_ids(language)
        asked = questions.of_id(ids[turn % len(ids)], plan.rng)
    plan_speech(plan, Text(asked.text, asked.text), split, language)
    plan.row["question"] = asked.question


def plan_sound(plan: Planned, turn: int) -> None:
    names = list(sounds.SOUNDS)
    name = names[turn % len(names)]
    plan.gentle = True
    plan.row["sound"] = name
    if name == "tone":
        hertz = tones.log_uniform(plan.rng, 110, 4000)
        plan.sound = tones.tone(plan.rng, hertz)
        plan.row |= {"hertz": round(hertz, 1), "pitch": sounds.pitch_of(hertz)}
    else:
        plan.sound = sounds.SOUNDS[name].make(plan.rng)
    if name == "silence":
        plan.row["kind"] = "silence"


def plan_count(plan: Planned, turn: int) -> None:
    count = 1 + turn % COUNTS
    of: sounds.Counted = "knocks" if turn // COUNTS % 2 else "beeps"
    plan.gentle = True
    plan.sound = sounds.counted(count, of, plan.rng)
    name = "knocking" if of == "knocks" else sounds.BEEPING[0]
    plan.row |= {"count": count, "of": of, "sound": name}


def plan_shard(shard: Shard) -> list[Planned]:
    listed = kinds(shard)
    turns: dict[str, int] = {}
    plans = []
    for clip, kind in enumerate(listed):
        before = shard.number * listed.count(kind)
        plans.append(planned(shard, clip, kind, before + turns.get(kind, 0)))
        turns[kind] = turns.get(kind, 0) + 1
    return plans


def make_shard(shard: Shard) -> list[tuple[Row, np.ndarray]]:
    """The rows and samples of a shard; the same seed makes the same."""
    return made(plan_shard(shard), shard.seed + shard.number)


def made(plans: list[Planned], seed: int) -> list[tuple[Row, np.ndarray]]:
    """What was planned, spoken and treated; without what a synthesizer could not say."""
    cast_for = [plan for plan in plans if plan.casting]
    speech = say_all([plan.casting.utterance for plan in cast_for if plan.casting], seed)
    for plan, said in zip(cast_for, speech, strict=True):
        plan.sound = said
    return [(plan.row, finished(plan)) for plan in plans if plan.sound is not None]


def finished(plan: Planned) -> np.ndarray:
    """A clip's samples after its treatment; silence stays what it is."""
    assert plan.sound is not None
    assert plan.treatment is not None
    if plan.row["kind"] == "silence":
        return plan.sound
    return plan.treatment.applied(plan.sound, plan.rng)


def shards(clips: int, seed: int) -> list[Shard]:
    """All shards in the order in which they are made: some to train on, all tests, the rest."""
    first, tests = 12, 10
    train = [Shard("train", number, seed) for number in range(-(-clips // SHARD_CLIPS))]
    test = [Shard("test", number, seed) for number in range(tests)]
    return [*train[:first], *test, *train[first:]]
