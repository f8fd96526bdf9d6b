"""The limits of a clip, the cache of what was heard, and how fast a clip is heard."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from demo.audio import SAMPLE_RATE, AudioError, Ear, Limits
from tests.serving import PATIENCE
from tests.sounds import by_av, by_soundfile, tone, wav, write_long_wav
from tests.traps import HOUR, silent_flac

# Limits


def test_a_two_hour_file_is_refused_by_its_header(tmp_path):
    path = tmp_path / "lecture.wav"
    with path.open("wb") as file:
        write_long_wav(file, seconds=7200)
    started = time.process_time()  # of this process alone: others may be at work
    with pytest.raises(AudioError, match=r"lecture\.wav is too long: 2:00:00, .* 10 minutes"):
        Ear().hear(path)
    assert time.process_time() - started < 0.5


MEMORY = """
import sys
from demo.audio import AudioError, Ear, Limits
from tests.serving import PATIENCE
def peak_kb():
    status = open("/proc/self/status").read().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
before = peak_kb()
try:
    samples = Ear(Limits(max_minutes=float(sys.argv[2]))).hear(sys.argv[1]).samples.nbytes
except AudioError:
    samples = 0
print(samples, 1024 * (peak_kb() - before))
"""
measures = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")


def memory(path: Path, max_minutes: float) -> tuple[int, int]:
    """The bytes of the samples that are heard, and those that hearing needs."""
    command = [sys.executable, "-c", MEMORY, str(path), str(max_minutes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    samples, needed = map(int, done.stdout.split())
    return samples, needed


@measures
def test_two_hours_need_little_more_memory_than_their_samples(tmp_path):
    path = tmp_path / "lecture.wav"
    with path.open("wb") as file:
        write_long_wav(file, seconds=7200)
    samples, needed = memory(path, max_minutes=150)
    assert samples == 7200 * SAMPLE_RATE * 4
    assert needed < 1.2 * samples


@measures
@pytest.mark.parametrize("said", [20 * HOUR, 0])
def test_twenty_hours_in_a_small_file_need_no_memory_for_twenty_hours(tmp_path, said):
    path = tmp_path / "silence.flac"
    path.write_bytes(silent_flac(20 * HOUR, said))
    samples, needed = memory(path, max_minutes=10)
    assert samples == 0
    assert needed < 2.5 * 600 * SAMPLE_RATE * 4


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


# Speed


def test_ten_seconds_of_wav_are_heard_in_milliseconds():
    content = wav(tone(10, 44_100), "PCM_16", 44_100)
    times = []
    for _ in range(5):
        started = time.process_time()
        Ear().hear(content)
        times.append(time.process_time() - started)
    assert min(times) < 0.05
