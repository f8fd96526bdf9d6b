"""The sounds of clips, from tones to knocks: they are heard as their names and rows say."""

import re

import numpy as np
import pytest

from finetune.clips import sounds, tones
from finetune.clips.augment import LEVELS_DB, Treatment, loudness
from finetune.clips.library import SAMPLE_RATE
from tests.clips_parts import plans, rng


def test_a_tone_has_the_pitch_that_its_row_says():
    planned = next(one for one in plans("test") if one.row["sound"] == "tone")
    assert planned.sound is not None
    spectrum = np.abs(np.fft.rfft(planned.sound))
    hertz = spectrum.argmax() * SAMPLE_RATE / len(planned.sound)
    assert hertz == pytest.approx(planned.row["hertz"], abs=2)
    assert planned.row["pitch"] == sounds.pitch_of(hertz)


def test_sweeps_go_where_their_names_say():
    def course(name: str) -> tuple[float, float]:
        heard = sounds.SOUNDS[name].make(rng(4))
        parts = heard[: len(heard) // 4], heard[-len(heard) // 4 :]
        first, last = (np.abs(np.fft.rfft(part)).argmax() for part in parts)
        return float(first), float(last)

    assert course("rising sweep")[0] < course("rising sweep")[1]
    assert course("falling sweep")[0] > course("falling sweep")[1]


def bursts(heard: np.ndarray) -> int:
    """How often a clip becomes loud after 40 ms of near silence."""
    frames = np.abs(heard[: len(heard) // 320 * 320].reshape(-1, 320)).max(axis=1)
    loud = frames > 0.12 * frames.max()
    starts = [n for n in range(len(loud)) if loud[n] and not loud[max(0, n - 2) : n].any()]
    return len(starts)


@pytest.mark.parametrize("of", ["beeps", "knocks"])
@pytest.mark.parametrize("count", range(1, 7))
def test_as_many_bursts_are_heard_as_the_row_counts(of: sounds.Counted, count: int):
    for seed in range(5):
        assert bursts(sounds.counted(count, of, rng(seed))) == count


def test_every_sound_has_a_name_in_both_languages_and_many_renderings():
    assert len(sounds.SOUNDS) >= 24
    for sound in sounds.SOUNDS.values():
        first, second, again = sound.make(rng(1)), sound.make(rng(2)), sound.make(rng(1))
        assert np.isfinite(first).all()
        assert 0.3 * SAMPLE_RATE < len(first) < 10 * SAMPLE_RATE, sound.name
        np.testing.assert_array_equal(first, again)
        assert len(first) != len(second) or not np.allclose(first, second)
        assert re.search(r"[\u4e00-\u9fff]", sound.chinese)


def test_silence_is_silent_and_nothing_else_is():
    for name, sound in sounds.SOUNDS.items():
        peak = np.abs(sound.make(rng(3))).max()
        assert (peak < 0.005) == (name == "silence"), name


@pytest.mark.parametrize("seed", range(30))
def test_a_treated_clip_is_as_loud_as_its_level_says(seed: int):
    treatment = Treatment.drawn(rng(seed))
    heard = treatment.applied(tones.tone(rng(seed), 500, 1.5), rng(seed))
    low, high = LEVELS_DB[treatment.level]
    assert low - 1 <= loudness(heard) <= high + 1
    assert np.abs(heard).max() <= 1


def test_quiet_normal_and_loud_do_not_overlap():
    assert LEVELS_DB["quiet"][1] < LEVELS_DB["normal"][0]
    assert LEVELS_DB["normal"][1] < LEVELS_DB["loud"][0]
