"""Pseudo speakers: phonemes shifted as espeak-ng takes them, voices sent through a vocoder."""

import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from finetune.clips.accents import (
    CONSONANTS,
    STRESSES,
    VOWELS,
    Accent,
    accented,
    accented_ipa,
    drawn_accent,
)
from finetune.clips.library import SAMPLE_RATE
from finetune.clips.loaded import Hibari
from finetune.clips.synthesizers import espeak
from finetune.clips.utterance import Utterance
from finetune.clips.vocoder import pitches, vocoded

RATE = SAMPLE_RATE
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng")


def test_a_phoneme_is_shifted_wherever_it_stands_and_stress_stays() -> None:
    shifts: Accent = (("aI", "OI"), ("h", ""))
    assert accented("h_'aI_t aI_z_,aI\n", shifts) == "[[|'OI|t OI|z|,OI]]"


def test_what_no_shift_names_stays() -> None:
    assert accented("t_'aI_m", ()) == "[[t|'aI|m]]"


def test_an_accent_is_the_same_in_the_letters_of_misaki() -> None:
    shifts: Accent = (("i:", "@|i:"), ("T", "f"), ("aI", "OI"), ("N", "N|g"), ("h", ""), ("3", "a"))
    assert accented_ipa("hˈI θˈivz sˈɪŋ", shifts) == "ˈY fˈəivz sˈɪŋɡ"


def test_accents_differ_and_most_of_one_stays() -> None:
    drawn = {drawn_accent(np.random.default_rng(seed)) for seed in range(50)}
    assert len(drawn) > 40
    assert all(2 <= len(accent) <= 10 < len(VOWELS) for accent in drawn)


@needs_espeak
@pytest.mark.parametrize("voice", ["en-us", "en-gb", "en-029"])
def test_espeak_reads_back_every_phoneme_of_every_shift(voice: str) -> None:
    """What it does not know it reads as something else; "_" it would read as a pause."""
    said_instead = [
        said for shifts in (VOWELS, CONSONANTS) for all_ in shifts.values() for said in all_
    ]
    targets = {name for said in said_instead for name in said.split("|")}
    said = " ".join(f"b_{name}_t" for name in sorted(targets - {""}))
    command = ["espeak-ng", "-v", voice, "-q", "-x", "--sep=_", "--", accented(said, ())]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert read.translate({ord(mark): None for mark in STRESSES}) == said


@needs_espeak
def test_an_accent_is_heard() -> None:
    plain = Utterance("espeak-ng", "en-gb+m3", "time and tide")
    shifted = Utterance("espeak-ng", "en-gb+m3", "time and tide", accent=(("aI", "OI"),))
    one, other = espeak(plain), espeak(shifted)
    assert len(other) > RATE / 2
    assert len(one) != len(other) or not np.allclose(one, other)


def hibari_says(**how: Any) -> np.ndarray:
    return Hibari(1).say(Utterance("hibari", "heart", "Close the window, please.", **how))


def test_hibari_speaks_higher_or_lower_with_the_same_mouth_and_in_an_accent() -> None:
    plain, low = hibari_says(), hibari_says(tone=0.6)
    assert RATE < len(plain) < 3 * RATE
    assert 0.02 < plain.std() < 0.5
    assert len(low) == len(plain)
    assert middle(low) / middle(plain) == pytest.approx(0.6, abs=0.08)
    assert not np.array_equal(hibari_says(accent=(("i:", "eI"),)), plain)


def test_hibari_says_the_same_for_the_same_seed() -> None:
    np.testing.assert_array_equal(hibari_says(melody=0.5), hibari_says(melody=0.5))


def middle(samples: np.ndarray) -> float:
    hertz = pitches(samples)
    return float(np.median(hertz[hertz > 0]))


def sung(hertz: float, seconds: float = 1.0) -> np.ndarray:
    """A buzz through two formants, like a vowel."""
    times = np.arange(int(seconds * RATE)) / RATE
    partials = np.arange(1, int(3500 / hertz))
    near = np.exp(-(((partials * hertz - 600) / 300) ** 2)) + 0.5 * np.exp(
        -(((partials * hertz - 1800) / 400) ** 2)
    )
    return (np.sin(2 * np.pi * hertz * np.outer(times, partials)) @ near * 0.05).astype(np.float32)


def test_pitch_is_found() -> None:
    assert np.median(pitches(sung(140))[10:-10]) == pytest.approx(140, rel=0.03)


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert np.mean(pitches(noise) > 0) < 0.2


def test_the_vocoder_keeps_length_level_and_formants_and_flattens_the_pitch() -> None:
    samples = np.concatenate([sung(110), sung(165)])
    heard = vocoded(samples, 0.0, np.random.default_rng(0))
    assert len(heard) == len(samples)
    assert heard.std() == pytest.approx(samples.std(), rel=0.5)
    found = pitches(heard)[5:-5]
    assert np.std(found[found > 0]) < 15 < np.std(pitches(samples)[5:-5])
    spectrum = np.abs(np.fft.rfft(heard[:RATE])) ** 2
    assert spectrum[400:800].sum() > 5 * spectrum[900:1300].sum()


def test_what_has_no_voice_in_it_stays_what_it_is() -> None:
    silence = np.zeros(RATE, np.float32)
    assert vocoded(silence, 0.5, np.random.default_rng(0)) is silence
    nothing = np.zeros(0, np.float32)  # what a synthesizer makes of an odd word
    assert vocoded(nothing, 0.5, np.random.default_rng(0)) is nothing
