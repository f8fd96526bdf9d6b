"""Any file becomes a clip, or one clear sentence."""

import os
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.audio import MIN_SECONDS, SAMPLE_RATE, SENTENCES, AudioError, Clip, Ear, Limits, describe
from demo.hearing.rules import NAME_CHARACTERS, shown_name
from demo.messages import Message
from tests.inputs import Input, hostile, odd, ordinary, outcome, refused
from tests.sounds import TONE_HZ, tone, wav


def titled(trials: list[Input]):
    return pytest.mark.parametrize("trial", trials, ids=[trial.title for trial in trials])


def loudest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return int(np.argmax(spectrum)) * SAMPLE_RATE / len(samples)


@contextmanager
def not_as_root():
    """Root may read every file, so that a test of permissions has to be someone else."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


# Inputs


@titled(ordinary())
def test_a_file_that_people_have_is_heard(trial, tmp_path):
    assert outcome(trial, tmp_path)[0] == "heard"


@titled([trial for trial in ordinary() if "streams" not in trial.title])
def test_what_is_heard_is_the_tone_that_was_sent(trial, tmp_path):
    clip = trial.hear(tmp_path)
    assert clip.seconds == pytest.approx(0.3 if trial.title == "0.3 s" else 2, abs=0.06)
    assert loudest_hz(clip.samples) == pytest.approx(TONE_HZ, abs=4)
    assert clip.samples.std() == pytest.approx(0.3 / np.sqrt(2), abs=0.06)


@titled(odd())
def test_an_odd_file_is_heard_with_a_warning(trial, tmp_path):
    clip = trial.hear(tmp_path)
    assert (" ".join(warning.key for warning in clip.warnings) or "heard") == trial.gets
    assert clip.seconds >= MIN_SECONDS


@titled(refused())
def test_what_cannot_be_heard_gets_its_sentence_at_once(trial, tmp_path):
    started = time.process_time()
    with pytest.raises(AudioError) as caught:
        trial.hear(tmp_path)
    assert caught.value.key == trial.gets
    for language in ("en", "zh"):
        assert str(tmp_path.parent) not in caught.value.say(language)
    assert time.process_time() - started < 5


@titled(hostile())
def test_a_hostile_file_is_heard_or_gets_its_sentence_at_once(trial, tmp_path):
    started = time.process_time()
    key, sentence = outcome(trial, tmp_path)
    assert key == trial.gets, sentence
    assert key == "heard" or trial.name in sentence
    assert time.process_time() - started < 5


def test_at_least_sixty_files_are_not_what_people_have():
    titles = {trial.title for trial in [*odd(), *refused(), *hostile()]}
    assert len(titles) >= 60
    assert not titles & {trial.title for trial in ordinary()}


def test_a_file_without_permission_is_refused(tmp_path):
    path = tmp_path / "secret.wav"
    path.write_bytes(wav())
    path.chmod(0)
    with not_as_root(), pytest.raises(AudioError, match=r"secret\.wav cannot be opened"):
        Ear().hear(path)


@given(
    trial=st.sampled_from([t for t in ordinary() if isinstance(t.source, bytes)]),
    at=st.floats(0, 1),
    near_the_head=st.booleans(),
    junk=st.binary(max_size=40),
    removed=st.integers(0, 300),
)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_any_damage_gives_a_clip_or_a_sentence(trial, at, near_the_head, junk, removed):
    place = int(at * (200 if near_the_head else len(trial.source)))
    damaged = trial.source[:place] + junk + trial.source[place + removed :]
    with suppress(AudioError):
        clip = Ear(Limits(max_minutes=1)).hear(damaged)
        assert clip.seconds >= MIN_SECONDS
        assert np.isfinite(clip.samples).all()


# Names and sentences


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/tmp/gradio/abc/my voice.wav", "my voice.wav"),
        ("C:\\Users\\me\\voice.wav", "voice.wav"),
        ("two\nlines\t.wav", "two lines .wav"),
        ("\u202egpj.wav", "gpj.wav"),
        ("", "clip"),
        ("\u200b\u200f", "clip"),
        ("录音 1.m4a", "录音 1.m4a"),
    ],
)
def test_a_name_is_shown_without_what_could_mislead(name, shown):
    assert shown_name(name) == shown


def test_a_long_name_keeps_its_ending():
    shown = shown_name("a" * 300 + ".wav")
    assert len(shown) == NAME_CHARACTERS
    assert shown.endswith(".wav")


def test_every_sentence_says_the_same_values_in_both_languages():
    class Anything(dict):
        def __missing__(self, key: str) -> str:
            return f"<{key}>"

    for english, chinese in SENTENCES.values():
        fields = [
            {part.split(":")[0] for part in text.replace("{", "}").split("}")[1::2]}
            for text in (english, chinese)
        ]
        assert fields[0] == fields[1], english
        assert any("\u4e00" <= character <= "\u9fff" for character in chinese)


def test_a_clip_is_made_by_hand_too():
    clip = Clip(tone(1), "tone", "key")
    assert clip.seconds == 1
    assert clip.warnings == ()
    assert isinstance(describe(clip), Message)
