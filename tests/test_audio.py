"""Any file becomes a clip, or one clear sentence; nothing is lost where it is cut."""

import io
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from demo.audio import (
    MIN_SECONDS,
    SAMPLE_RATE,
    SENTENCES,
    WINDOW_SECONDS,
    AudioError,
    Clip,
    Ear,
    Limits,
    describe,
)
from demo.hearing.rules import NAME_CHARACTERS, clock, shown_name
from demo.hearing.windows import TAIL_SAMPLES, WINDOW_SAMPLES, split
from demo.messages import Message
from tests.inputs import Input, odd, ordinary, outcome, refused
from tests.sounds import RATE, TONE_HZ, by_av, by_soundfile, tone, wav, write_long_wav


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
    started = time.monotonic()
    with pytest.raises(AudioError) as caught:
        trial.hear(tmp_path)
    assert caught.value.key == trial.gets
    for language in ("en", "zh"):
        assert str(tmp_path.parent) not in caught.value.say(language)
    assert time.monotonic() - started < 5


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


# Limits


def test_a_two_hour_file_is_refused_by_its_header(tmp_path):
    path = tmp_path / "lecture.wav"
    with path.open("wb") as file:
        write_long_wav(file, seconds=7200)
    started = time.monotonic()
    with pytest.raises(AudioError, match=r"lecture\.wav is too long: 2:00:00, .* 10 minutes"):
        Ear().hear(path)
    assert time.monotonic() - started < 0.5


MEMORY = """
import sys
from demo.audio import Ear, Limits
def peak_kb():
    status = open("/proc/self/status").read().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
before = peak_kb()
clip = Ear(Limits(max_minutes=150)).hear(sys.argv[1])
print(clip.samples.nbytes, 1024 * (peak_kb() - before))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to measure")
def test_two_hours_need_little_more_memory_than_their_samples(tmp_path):
    path = tmp_path / "lecture.wav"
    with path.open("wb") as file:
        write_long_wav(file, seconds=7200)
    command = [sys.executable, "-c", MEMORY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    samples, needed = map(int, done.stdout.split())
    assert samples == 7200 * SAMPLE_RATE * 4
    assert needed < 1.2 * samples


def test_a_limit_of_the_host_is_kept():
    with pytest.raises(AudioError, match=r"the limit is 0\.5 minutes"):
        Ear(Limits(max_minutes=0.5)).hear(wav(tone(32)))
    with pytest.raises(AudioError, match=r"0\.1 MB, and the limit is 0\.05 MB"):
        Ear(Limits(max_file_mb=0.05)).hear(wav())


def test_what_a_codec_adds_does_not_break_the_limit():
    padded = by_av("ipod", "aac", samples=tone(6, 44_100))
    clip = Ear(Limits(max_minutes=0.1)).hear(padded)
    assert 6 < clip.seconds < 6.1


# Cache


def test_a_file_is_decoded_once(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(by_soundfile("MP3"))
    ear = Ear()
    first = ear.hear(path)
    assert ear.hear(path.read_bytes(), "b.mp3").samples is first.samples


def test_a_cached_warning_names_the_file_that_was_sent_now():
    ear = Ear()
    silence = wav(0 * tone())
    assert "one.wav" in str(ear.hear(silence, "one.wav").warnings[0])
    assert "two.wav" in str(ear.hear(silence, "two.wav").warnings[0])


def test_the_cache_forgets_the_oldest_when_it_is_full():
    first, second = wav(tone(1)), wav(tone(1, hz=500))
    ear = Ear(cache_mb=0.1)  # one second is 64 kB
    kept = ear.hear(first).samples
    assert ear.hear(first).samples is kept
    ear.hear(second)
    assert ear.hear(first).samples is not kept


def test_a_clip_larger_than_the_cache_is_heard_all_the_same():
    ear = Ear(cache_mb=0.01)
    assert ear.hear(wav()).seconds == ear.hear(wav()).seconds == 2


def test_many_threads_hear_the_same():
    files = [wav(tone(0.5, hz=100 * (n + 1))) for n in range(4)]
    keys = [Ear().hear(file).key for file in files]
    ear = Ear(cache_mb=0.07)  # two of the four
    heard: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: heard.append([ear.hear(f).key for f in files * 5]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [keys * 5] * 8


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


# Speed


def test_ten_seconds_of_wav_are_heard_in_milliseconds():
    content = wav(tone(10, 44_100), "PCM_16", 44_100)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        Ear().hear(content)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.05
