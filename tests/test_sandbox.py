"""Files that harm their decoder end one request only."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from demo.audio import AudioError, Ear, Limits
from demo.hearing.decode import Sound
from demo.hearing.sandbox import Sandbox, SandboxError, Source, decode_source
from tests.fuzz import outcomes
from tests.sounds import wav

LIMITS = Limits()


def treacherous(source: Source, name: str, limits: Limits) -> Sound:
    """As a codec with every fault there is; runs in the other process."""
    match source:
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"hang":
            time.sleep(60)
        case b"eat":
            np.ones(10**10)
    return decode_source(source, name, limits)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(treacherous, workers=1, seconds=2)
    sandbox.decode(wav(), "warm.wav", LIMITS)
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize(("file", "words"), [
    (b"crash", "bad.wav is damaged in a way that ended its decoder"),
    (b"hang", "bad.wav takes longer than 2 s"),
    (b"eat", "bad.wav takes more memory"),
])  # fmt: skip
def test_the_next_file_is_decoded_after_one_that_harms(sandbox: Sandbox, file: bytes, words: str):
    with pytest.raises(SandboxError, match=words):
        sandbox.decode(file, "bad.wav", LIMITS)
    assert len(sandbox.decode(wav(), "good.wav", LIMITS).samples) > 1000


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


def _here(file: bytes) -> Sound:
    return decode_source(file, "a.wav", LIMITS)


def test_spoiled_files_are_a_sound_or_a_sentence():
    sandbox = Sandbox(workers=1)
    found = list(outcomes(sandbox, 0, lambda count: count == 150))
    sandbox.close()
    assert [(number, outcome) for number, _, outcome, fault in found if fault] == []
    assert len({outcome for _, _, outcome, _ in found}) > 3  # some are heard, some not
