"""Files that harm their decoder end one request only."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Timer

import numpy as np
import pytest

from demo.audio import AudioError, Ear, Limits
from demo.hearing.decode import Sound
from demo.hearing.sandbox import MEMORY_BYTES, Sandbox, SandboxError, Source, decode_source
from tests.fuzz import outcomes
from tests.inputs import hostile, outcome
from tests.sounds import tone, wav

pytestmark = pytest.mark.slow

LIMITS = Limits()


def treacherous(source: Source, name: str, limits: Limits) -> Sound:
    """As a codec with every fault there is; runs in the other process."""
    match source:
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"hang":
            time.sleep(60)
        case b"slow":
            time.sleep(1.5)
            source = wav()
        case b"eat":
            np.ones(MEMORY_BYTES // 8)  # no more than the machine has
    return decode_source(source, name, limits)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(treacherous, workers=1)
    sandbox.decode(wav(), "warm.wav", LIMITS)
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize(("file", "words"), [
    (b"crash", "bad.wav is damaged in a way that ended its decoder"),
    (b"hang", "bad.wav takes longer than 6 s"),
    (b"eat", "bad.wav takes more memory"),
])  # fmt: skip
def test_the_next_file_is_decoded_after_one_that_harms(
    sandbox: Sandbox, file: bytes, words: str, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "_seconds", 6)  # only here, where its process has started
        with pytest.raises(SandboxError, match=words):
            sandbox.decode(file, "bad.wav", LIMITS)
    assert len(sandbox.decode(wav(), "good.wav", LIMITS).samples) > 1000


def test_a_decoder_heeds_no_signal_that_is_for_the_app(sandbox: Sandbox):
    """A host's system may end all of a service's processes at once; replies have a grace then."""
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(sandbox.decode, b"slow", "slow.wav", LIMITS)
        time.sleep(0.5)
        (decoder,) = sandbox._alive
        assert decoder.process.pid
        os.kill(decoder.process.pid, signal.SIGTERM)
        assert len(heard.result().samples) > 1000


def test_a_sound_is_the_same_as_in_this_process(sandbox: Sandbox, tmp_path: Path):
    path = tmp_path / "tone.wav"
    path.write_bytes(wav())
    here, there = Ear(), Ear(sandbox=sandbox)
    for source in (path, str(path), wav()):
        expected, heard = here.hear(source), there.hear(source)
        assert np.array_equal(heard.samples, expected.samples)
        assert (heard.name, heard.key, heard.warnings) == (
            expected.name,
            expected.key,
            expected.warnings,
        )
        assert not heard.samples.flags.writeable


def test_a_file_that_is_no_sound_keeps_its_sentence(sandbox: Sandbox, tmp_path: Path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear all")
    with pytest.raises(AudioError) as here:
        Ear().hear(path)
    with pytest.raises(AudioError) as there:
        Ear(sandbox=sandbox).hear(path)
    assert str(there.value) == str(here.value)
    assert there.value.say("zh") == here.value.say("zh")


def test_many_threads_share_a_few_processes():
    sandbox = Sandbox(workers=2)
    rng = np.random.default_rng(0)
    files = [wav(rng.normal(0, 0.1, 4000 * number)) for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        sounds = list(pool.map(lambda file: sandbox.decode(file, "a.wav", LIMITS), files))
    assert [len(one.samples) for one in sounds] == [len(_here(file).samples) for file in files]
    sandbox.close()


@pytest.fixture
def pair() -> Iterator[Sandbox]:
    """Two processes, both of them started."""
    sandbox = Sandbox(treacherous, workers=2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda user: sandbox.decode(b"slow", "a.wav", LIMITS, user), "ab"))
    yield sandbox
    sandbox.close()


def test_one_user_leaves_a_process_for_the_others(pair: Sandbox):
    stop = Event()
    with ThreadPoolExecutor(4) as pool:
        hung = [pool.submit(pair.decode, b"hang", "a.wav", LIMITS, "a", stop) for _ in range(4)]
        assert len(pair.decode(wav(), "b.wav", LIMITS, "b").samples) > 1000
        stop.set()
    assert all(isinstance(one.exception(), CancelledError) for one in hung)


def test_what_is_stopped_gives_its_process_back(pair: Sandbox):
    stop = Event()
    for user in "ab":
        Timer(0.5, stop.set).start()
        with pytest.raises(CancelledError):
            pair.decode(b"hang", "a.wav", LIMITS, user, stop)
    assert len(pair.decode(wav(), "b.wav", LIMITS).samples) > 1000


def test_closing_waits_for_no_file(pair: Sandbox):
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(pair.decode, b"hang", "a.wav", LIMITS)
        time.sleep(0.5)
        start = time.monotonic()
        pair.close()
        assert isinstance(hung.exception(), SandboxError)
    assert time.monotonic() - start < 30
    with pytest.raises(CancelledError):
        pair.decode(b"hang", "a.wav", LIMITS)


def test_an_answer_that_could_not_be_read_is_nobody_elses(
    pair: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "recv", lambda pipe: np.ones(10**16))  # has no memory for it
        with pytest.raises(MemoryError):
            pair.decode(wav(), "mine.wav", LIMITS)
    other = wav(tone(0.3))
    for _ in range(2):
        assert len(pair.decode(other, "other.wav", LIMITS).samples) == len(_here(other).samples)


def _here(file: bytes) -> Sound:
    return decode_source(file, "a.wav", LIMITS)


def test_no_hostile_file_ends_its_decoder(tmp_path: Path):
    sandbox = Sandbox(workers=1)
    got = {trial.title: outcome(trial, tmp_path, sandbox)[0] for trial in hostile()}
    sandbox.close()
    assert got == {trial.title: trial.gets for trial in hostile()}


def test_spoiled_files_are_a_sound_or_a_sentence():
    sandbox = Sandbox(workers=1)
    found = list(outcomes(sandbox, 0, lambda count: count == 150))
    sandbox.close()
    assert [(number, outcome) for number, _, outcome, fault in found if fault] == []
    assert len({outcome for _, _, outcome, _ in found}) > 3  # some are heard, some not
