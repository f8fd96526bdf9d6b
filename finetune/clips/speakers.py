"""Who speaks: voices, what split they belong to, how they vary and whether they sound male.

A voice serves either training or testing, never both; where two synthesizers hold the same
person (slt and kal do), both are on the same side. This module makes no sound.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from finetune.clips.accents import Accent, drawn_accent
from finetune.clips.foreign import installed
from finetune.clips.library import Split
from finetune.clips.loaded import at_hand
from finetune.clips.utterance import Utterance

Gender = Literal["male", "female"]
ACCENTED = {"espeak-ng": 0.6, "hibari": 0.5}  # of their training speech
VOCODED = 0.15  # of the other voices'

TRAIN_ACCENTS = (
    "en-us",
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-029",
    "en-gb-x-gbclan",
)
TRAIN_MALE = (
    *("m1", "m2", "m3", "m4", "m5", "m7", "m8", "klatt", "klatt2", "klatt4", "Andy", "Lee"),
    *("adam", "Alex", "benjamin", "boris", "caleb", "david", "Denis", "Diogo", "ed", "Hugo"),
    *("iven", "Jacky", "john", "klatt3", "marcelo", "Marco", "Mario", "max", "norbert", "pablo"),
    *("quincy", "rob", "robert", "sandro", "travis", "victor", "zac"),
)
TRAIN_FEMALE = (
    *("f1", "f2", "f3", "f5", "Alicia", "linda", "Andrea"),
    *("anika", "aunty", "belinda", "grandma"),
)
TEST_VOICES: tuple[tuple[str, Gender | None], ...] = (
    ("en-us+m6", "male"),
    ("en-gb+m6", "male"),
    ("en-us-nyc+Michael", "male"),
    ("en-gb-x-gbcwmd+Gene", "male"),
    ("en-us+f4", "female"),
    ("en-gb+f4", "female"),
    ("en-us-nyc+Annie", "female"),
    ("en-gb-x-gbcwmd+steph", "female"),
)
TRAIN_CHINESE = ("", *(f"+{name}" for name in (*TRAIN_MALE, *TRAIN_FEMALE)))
TEST_CHINESE = ("+m6", "+f4", "+Gene", "+steph")


@dataclass(frozen=True)
class Speaker:
    """A voice of a synthesizer, with the share of the speech that it gets."""

    synthesizer: str
    voice: str
    person: str
    gender: Gender | None
    share: float


NATURAL: dict[Split, tuple[Speaker, ...]] = {
    "train": (
        Speaker("piper", "en_US-joe-medium", "joe", "male", 0.17),
        Speaker("festival", "cmu_us_slt_arctic_hts", "slt", "female", 0.13),
        Speaker("flite", "slt", "slt", "female", 0.11),
        Speaker("flite", "rms", "rms", "male", 0.10),
        Speaker("flite", "awb", "awb", "male", 0.09),
        Speaker("festival", "ked_diphone", "ked", "male", 0.12),
        Speaker("festival", "lp_diphone", "lp", "female", 0.03),
        Speaker("festival", "pc_diphone", "pc", "male", 0.025),
        Speaker("festival", "suo_fi_lj_diphone", "lj", "female", 0.03),
        Speaker("festival", "hy_fi_mv_diphone", "mv", "male", 0.025),
        Speaker("festival", "czech_dita", "dita", "female", 0.03),
        Speaker("festival", "czech_krb", "krb", None, 0.02),
        Speaker("festival", "czech_machac", "machac", "male", 0.025),
        Speaker("festival", "czech_ph", "ph", "male", 0.025),
        Speaker("rhvoice", "Bdl", "bdl", "male", 0.16),
        Speaker("rhvoice", "Clb", "clb", "female", 0.13),
        Speaker("pico", "en-US", "lh0", "female", 0.12),
        Speaker("pico", "en-GB", "kh0", "female", 0.12),
        Speaker("hibari", "heart", "heart", "female", 0.30),
        Speaker("espeak-ng", "", "", None, 0.42),
    ),
    "test": (
        Speaker("flite", "kal16", "kal", "male", 0.2),
        Speaker("festival", "kal_diphone", "kal", "male", 0.15),
        Speaker("espeak-ng", "", "", None, 0.65),
    ),
}
"""Natural voices get more than robotic ones, as people must be understood in the end; robotic
ones still get a quarter, for they alone come in many. Shares are of those at hand."""


@dataclass(frozen=True)
class Casting:
    """An utterance and what a row says of its speaker."""

    utterance: Utterance
    speaker: str
    gender: Gender | None


def cast(text: str, split: Split, language: str, rng: np.random.Generator) -> Casting:
    """Draw somebody to say `text`, with a size, a tempo and a pitch of their own."""
    voices = voices_of(split) if language == "en" else (Speaker("espeak-ng", "", "", None, 1.0),)
    shares = np.array([voice.share for voice in voices])
    voice = voices[rng.choice(len(voices), p=shares / shares.sum())]
    shift = drawn_shift(voice, rng)
    tempo = float(np.exp(rng.normal(0, 0.13)))
    if voice.synthesizer == "espeak-ng":
        return cast_espeak(text, split, language, shift, rng)
    if voice.synthesizer == "hibari":
        return cast_hibari(text, voice, shift, tempo, rng)
    noise, intonation = float(rng.uniform(0.4, 0.9)), None
    if split == "train" and rng.random() < VOCODED:
        intonation = float(rng.uniform(0, 1.2))
    utterance = Utterance(
        voice.synthesizer, voice.voice, text, shift, tempo, noise=noise, intonation=intonation
    )
    return Casting(utterance, voice.person, gender_after(voice.gender, shift))


def voices_of(split: Split) -> tuple[Speaker, ...]:
    """Those whose synthesizers, and whose own packages, are installed."""
    voices = (voice for voice in NATURAL[split] if at_hand(voice.synthesizer))
    return tuple(voice for voice in voices if installed(voice.voice))


def drawn_shift(voice: Speaker, rng: np.random.Generator) -> float:
    """Half of the speech keeps nearly the voice's own size; the rest is anybody's."""
    if rng.random() < 0.5:
        return float(rng.uniform(0.97, 1.03))
    low, high = (0.9, 1.12) if voice.synthesizer == "espeak-ng" else (0.82, 1.22)
    return float(rng.uniform(low, high))


def cast_espeak(
    text: str, split: Split, language: str, shift: float, rng: np.random.Generator
) -> Casting:
    """One of espeak-ng's many variants, at its own pace and pitch."""
    name, gender = espeak_voice(split, language, rng)
    middle = 50 if gender == "male" else 55
    pitch = int(np.clip(rng.normal(middle, 12), 20, 80))
    tempo = float(rng.uniform(120, 205)) / 165
    as_it_is = split == "test" or language != "en"
    accent = () if as_it_is else sometimes_an_accent("espeak-ng", rng)
    utterance = Utterance("espeak-ng", name, text, shift, tempo, pitch, accent=accent)
    return Casting(utterance, name, gender_after(gender, shift))


def cast_hibari(
    text: str, voice: Speaker, shift: float, tempo: float, rng: np.random.Generator
) -> Casting:
    """Hibari's one voice as itself, or as people with another pitch, of whom no sex is said."""
    tone, gender = float(rng.uniform(0.93, 1.07)), gender_after(voice.gender, shift)
    if rng.random() < 0.5:
        tone, gender = float(rng.uniform(0.5, 1.25)), None
    utterance = Utterance(
        *(voice.synthesizer, voice.voice, text, shift, tempo),
        accent=sometimes_an_accent("hibari", rng),
        tone=tone,
        melody=float(rng.uniform(0.4, 1.3)),
    )
    return Casting(utterance, voice.person, gender)


def sometimes_an_accent(synthesizer: str, rng: np.random.Generator) -> Accent:
    return drawn_accent(rng) if rng.random() < ACCENTED[synthesizer] else ()


def espeak_voice(
    split: Split, language: str, rng: np.random.Generator
) -> tuple[str, Gender | None]:
    if language == "zh":
        variants = TRAIN_CHINESE if split == "train" else TEST_CHINESE
        return f"cmn-latn-pinyin{rng.choice(variants)}", None
    if split == "test":
        return TEST_VOICES[rng.integers(len(TEST_VOICES))]
    accent = rng.choice(TRAIN_ACCENTS)
    if rng.random() < 0.6:
        return f"{accent}+{rng.choice(TRAIN_FEMALE)}", "female"
    return f"{accent}+{rng.choice(TRAIN_MALE)}", "male"


def gender_after(gender: Gender | None, shift: float) -> Gender | None:
    """A shift towards the other side makes the label unsure, so there is none."""
    if gender == "male" and shift <= 1.08:
        return gender
    if gender == "female" and shift >= 0.94:
        return gender
    return None
