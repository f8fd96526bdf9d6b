"""Festival's Italian, Finnish and Czech speakers, made to speak English."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from finetune.clips import foreign, speakers
from finetune.clips.library import SAMPLE_RATE
from finetune.clips.sources import SOURCES
from finetune.clips.synthesizers import festival
from finetune.clips.utterance import Utterance

LANGUAGES = (foreign.ITALIAN, foreign.FINNISH, foreign.CZECH)
PHONES = """aa ae ah ao aw ax axr ay b ch d dh dx eh el em en er ey f g hh hv ih iy jh k l m n nx ng
ow oy p r s sh t th uh uw v w y z zh pau h# brth"""  # (PhoneSet.description '(phones)) of ked
TEXT = "The children walked to the school and bought three oranges."

KED = foreign.VOICES / "english" / foreign.ENGLISH_VOICE
MISSING = [voice for voice in foreign.FOREIGNERS if not foreign.installed(voice)]
needs_foreigners = pytest.mark.skipif(
    bool(MISSING) or shutil.which("festival") is None or not KED.exists(),
    reason=f"festival with ked_diphone and these voices is not installed: {', '.join(MISSING)}",
)


def test_every_english_sound_has_one_in_every_language():
    for language in LANGUAGES:
        assert set(language.sounds) == set(PHONES.split())


def test_a_voice_whose_package_is_missing_is_not_cast(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(foreign, "VOICES", Path("/nowhere"))
    foreign.installed.cache_clear()
    try:
        assert not {one.voice for one in speakers.voices_of("train")} & set(foreign.FOREIGNERS)
    finally:
        foreign.installed.cache_clear()


def test_every_foreigner_trains_and_has_a_licence():
    assert {one.voice for one in speakers.NATURAL["train"]} >= set(foreign.FOREIGNERS)
    assert not {one.voice for one in speakers.NATURAL["test"]} & set(foreign.FOREIGNERS)
    named = " ".join(source.name for source in SOURCES)
    assert all(re.search(rf"\b{voice}\b", named) for voice in foreign.FOREIGNERS)


@needs_foreigners
def test_a_sentence_takes_as_long_as_it_does_in_english_and_is_neither_silent_nor_too_loud():
    voices = [foreign.ENGLISH_VOICE, *foreign.FOREIGNERS]
    english, *others = festival([Utterance("festival", voice, TEXT) for voice in voices])
    for voice, heard in zip(foreign.FOREIGNERS, others, strict=True):
        assert len(heard) == pytest.approx(len(english), abs=0.4 * SAMPLE_RATE), voice
        assert 0.05 < np.abs(heard).max() < 0.95, voice
        assert np.sqrt(np.mean(heard**2)) > 0.01, voice


@needs_foreigners
def test_nobody_sounds_different_for_what_others_said_before():
    def said(text: str) -> list[Utterance]:
        voices = [foreign.ENGLISH_VOICE, *foreign.FOREIGNERS]
        return [Utterance("festival", voice, text, 1.1, 0.9) for voice in voices]

    first, others = said(TEXT), said("George and his aunt leave their comfortable big houses.")
    heard = festival([*first, *others, *first])
    for before, after in zip(heard[: len(first)], heard[-len(first) :], strict=True):
        np.testing.assert_array_equal(before, after)
