"""A clip's samples are those of its file, and nothing is lost where they are cut into windows."""

import io

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from demo.audio import SAMPLE_RATE, WINDOW_SECONDS, Ear, describe
from demo.hearing.rules import clock
from demo.hearing.windows import TAIL_SAMPLES, WINDOW_SAMPLES, split
from tests.sounds import RATE, by_av, by_soundfile, tone, wav

pytestmark = pytest.mark.slow

# Samples


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_mono_at_the_models_rate_equals_soundfile_exactly(subtype):
    content = wav(subtype=subtype)
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_array_equal(Ear().hear(content).samples, expected)


# librosa's fallback for old formats imports modules that Python 3.13 no longer has.
@pytest.mark.filterwarnings("ignore:'(aifc|audioop|sunau)' is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 2), (44_100, 2), (48_000, 6)])
def test_other_rates_and_channels_are_near_librosa(rate, channels):
    noise = np.random.default_rng(0).normal(0, 0.1, 7 * rate).astype(np.float32)
    content = by_soundfile("WAV", "FLOAT", noise, rate, channels)
    expected, _ = librosa.load(io.BytesIO(content), sr=SAMPLE_RATE, res_type="soxr_hq")
    samples = Ear().hear(content).samples
    assert abs(len(samples) - len(expected)) <= 1
    length = min(len(samples), len(expected))
    np.testing.assert_allclose(samples[:length], expected[:length], atol=1e-5)


def test_channels_are_averaged_and_not_dropped():
    file = io.BytesIO()
    soundfile.write(file, np.stack([tone(), 0 * tone()], axis=1), RATE, "FLOAT", format="WAV")
    np.testing.assert_allclose(Ear().hear(file.getvalue()).samples, tone() / 2, atol=1e-7)


def test_a_clip_is_mono_float32_and_read_only():
    clip = Ear().hear(by_av("mp4", "aac"))
    assert clip.samples.dtype == np.float32
    assert clip.samples.ndim == 1
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[0] = 1


def test_equal_sounds_have_equal_keys_whatever_they_came_in():
    steps = np.round(tone() * 2**15).astype(np.int16)
    kinds = ("WAV", "FLAC", "AIFF")
    in_wav, *others = (Ear().hear(by_soundfile(kind, "PCM_16", steps)) for kind in kinds)
    assert {clip.key for clip in others} == {in_wav.key}
    assert in_wav.key != Ear().hear(wav(tone(hz=441))).key


def test_a_file_on_the_scale_of_16_bits_is_brought_to_the_scale_of_1():
    clip = Ear().hear(wav(32768 * tone()))
    np.testing.assert_allclose(clip.samples, tone() / np.abs(tone()).max(), atol=1e-6)


def test_a_very_short_sound_gets_silence_after_it():
    samples = Ear().hear(wav(tone(0.04))).samples
    np.testing.assert_array_equal(samples[:640], tone(0.04))
    assert not samples[640:].any()


def test_the_shortest_clip_gives_the_model_two_audio_tokens():
    clip = Ear().hear(wav(tone(0.005)))
    features = WhisperFeatureExtractor()(
        clip.samples, sampling_rate=SAMPLE_RATE, return_attention_mask=True, return_tensors="np"
    )
    frames = int(features["attention_mask"].sum())
    assert ((frames - 1) // 2 + 1 - 2) // 2 + 1 >= 2


def test_a_damaged_file_is_heard_up_to_its_damage():
    whole = tone(10)
    content = by_soundfile("FLAC", "PCM_16", whole)
    clip = Ear().hear(content[: len(content) // 2], "half.flac")
    np.testing.assert_allclose(clip.samples, whole[: len(clip.samples)], atol=1e-4)
    assert 3 < clip.seconds < 7
    assert f"heard the first {clip.seconds:.1f} s of 10.0 s" in str(clip.warnings[0])


# Windows


def spoken(seconds: float, pause_at: float) -> np.ndarray:
    """Noise with a pause of 0.3 s."""
    noise = np.random.default_rng(1).normal(0, 0.1, round(seconds * SAMPLE_RATE))
    start = round(pause_at * SAMPLE_RATE)
    noise[start : start + round(0.3 * SAMPLE_RATE)] *= 0.01
    return noise.astype(np.float32)


def test_a_cut_lies_in_the_pause():
    first, second = split(spoken(45, pause_at=27))
    assert 27 < len(first) / SAMPLE_RATE < 27.3
    assert len(first) + len(second) == 45 * SAMPLE_RATE


def test_a_pause_too_early_is_no_reason_to_cut():
    first, _ = split(spoken(45, pause_at=20))
    assert 25 <= len(first) / SAMPLE_RATE <= 30


def test_what_fits_is_one_window():
    for seconds in (0.1, 29.99, 30):
        assert len(split(spoken(seconds, 0))) == 1


def test_silence_is_cut_into_as_few_windows_as_can_be():
    assert [len(window) for window in split(np.zeros(3 * WINDOW_SAMPLES, np.float32))] == [
        WINDOW_SAMPLES
    ] * 3


def test_a_tail_joins_its_neighbour():
    windows = split(np.zeros(WINDOW_SAMPLES + 100, np.float32))
    assert len(windows) == 2
    assert len(windows[1]) >= TAIL_SAMPLES


@given(
    extra=st.integers(0, 3 * WINDOW_SAMPLES),
    seed=st.integers(0, 9),
    quiet=st.lists(st.integers(0, 120), max_size=4),
)
def test_windows_are_the_whole_sound_in_parts_that_fit(extra, seed, quiet):
    samples = np.random.default_rng(seed).random(extra + 1, dtype=np.float32)
    for second in quiet:
        samples[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE] = 0
    windows = split(samples)
    np.testing.assert_array_equal(np.concatenate(windows), samples)
    assert all(len(window) <= WINDOW_SAMPLES for window in windows)
    assert len(windows) == 1 or all(len(window) >= TAIL_SAMPLES for window in windows)


def test_the_page_says_how_a_long_clip_is_heard():
    clip = Ear().hear(wav(np.tile(tone(1), 102), "PCM_16"))
    assert len(clip.windows()) == 4
    assert str(describe(clip)) == "1:42 of audio, heard as 4 parts"
    assert describe(clip).say("zh") == "1:42 的音频，分为 4 段聆听"
    assert str(describe(Ear().hear(wav()))) == "2.0 s of audio"
    assert WINDOW_SECONDS * SAMPLE_RATE == WINDOW_SAMPLES


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.1, "0.1 s"), (10, "0:10"), (102, "1:42"), (7200, "2:00:00")]
)
def test_lengths_are_written_as_people_write_them(seconds, written):
    assert clock(seconds) == written
