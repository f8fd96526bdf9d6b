"""What a machine does to the app: a full or read-only disk, a kill, a clock that jumps."""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, expect

from demo.uploads import FolderError, clean, require_writable
from tests.conftest import CLIPS
from tests.serving import ROOT, Served, free_port, serving, until
from tests.visitor import Visitor

pytestmark = pytest.mark.slow

GLASS = CLIPS / "glass-breaking.flac"
KNOCKS = CLIPS / "four-knocks.flac"
INSIDE = f"data:audio/flac;base64,{base64.b64encode(GLASS.read_bytes()).decode()}"
ASKED_INSIDE = [{"role": "user", "content": [{"type": "audio", "audio_url": INSIDE}]}]
SMALL_DISK = "size=2m"


def mounted(folder: Path, options: str) -> bool:
    """Whether a disk of its own could be put there, which takes an administrator."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk that is soon full."""
    folder = tmp_path_factory.mktemp("disk")
    if not mounted(folder, SMALL_DISK):
        pytest.skip("only an administrator can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def served(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app on that disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(disk / "uploads"))
        with serving(tmp_path_factory.mktemp("served") / "log") as app:
            yield app


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A clip that does not fit on the disk."""
    file = tmp_path / "big.wav"
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, 120 * 16_000), 16_000)
    return file


@pytest.mark.browser
def test_a_full_disk_is_told_and_what_was_typed_is_kept(
    served: Served, visitor: Visitor, big: Path
):
    visitor.open("analysis")
    visitor.words.fill("What is that sound?")
    visitor.page.locator("#question input[type=file]").set_input_files(big)
    told = visitor.page.locator(".toast-body")
    expect(told).to_contain_text("The disk of this server is full")
    assert visitor.words.input_value() == "What is that sound?"
    assert "Traceback" not in served.log
    assert "No space left" in served.log
    assert [problem for problem in visitor.problems if "507" in problem] == visitor.problems
    visitor.problems.clear()


def test_a_full_disk_is_cleared_and_the_app_goes_on(served: Served, disk: Path, big: Path):
    client = Client(served.url, verbose=False)
    asked = [{"role": "user", "content": [{"type": "audio", "audio_url": handle_file(big)}]}]
    with pytest.raises(Exception, match="507"):
        client.predict(asked, api_name="/generate")
    clean(disk / "uploads", time.time(), broken_off=0)
    asked[0]["content"][0]["audio_url"] = handle_file(GLASS)
    assert client.predict(asked, api_name="/generate")


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """What a disk becomes by itself when it meets errors."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@pytest.mark.browser
def test_a_folder_that_turns_read_only_is_told_and_the_app_goes_on(
    served: Served, visitor: Visitor, disk: Path
):
    visitor.open("analysis")
    with read_only(disk):
        visitor.words.fill("What is that sound?")
        visitor.page.locator("#question input[type=file]").set_input_files(GLASS)
        told = visitor.page.locator(".toast-body")
        expect(told).to_contain_text("This server cannot keep files at present")
        assert visitor.words.input_value() == "What is that sound?"
        told.get_by_test_id("toast-close").click()
        assert visitor.answer("analysis", lambda: visitor.ask("Hello.")) != ""
        assert Client(served.url, verbose=False).predict(ASKED_INSIDE, api_name="/generate")
    reply = visitor.answer("analysis", lambda: visitor.ask("What is that sound?", KNOCKS))
    assert "knock" in reply
    assert "Traceback" not in served.log
    assert "Read-only file system" in served.log
    assert [problem for problem in visitor.problems if "507" in problem] == visitor.problems
    visitor.problems.clear()


@pytest.mark.browser
def test_the_conversation_goes_on_after_a_kill_and_a_restart(browser: Browser, tmp_path: Path):
    port = free_port()
    with serving(tmp_path / "killed", port=port) as app:
        visitor = Visitor(browser, app.url)
        visitor.open("analysis")
        first = visitor.answer("analysis", lambda: visitor.ask("What is that sound?", GLASS))
        visitor.until_told()
        app.process.kill()
        app.process.wait()
    with serving(tmp_path / "again", port=port):
        visitor.page.reload()
        visitor.wait()
        visitor.open("analysis")
        expect(visitor.replies("analysis")).to_have_text([first])
        again = visitor.answer("analysis", lambda: visitor.ask("What was the first sound?"))
    visitor.close()
    assert "glass" in first
    assert "glass" in again


def test_a_folder_that_takes_no_file_ends_the_start_in_a_sentence(tmp_path: Path):
    if not mounted(tmp_path, "size=1m,ro"):
        pytest.skip("only an administrator can mount a disk that is read-only")
    try:
        with pytest.raises(FolderError, match=r"Read-only file system.*GRADIO_TEMP_DIR"):
            require_writable(tmp_path / "uploads")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_running_app_deletes_what_is_old(tmp_path: Path):
    clip, note = (tmp_path / "uploads" / name / "clip.wav" for name in ("3f" * 32, "notes"))
    for file in (clip, note):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"sound")
    ahead = tmp_path / "ahead"
    ahead.write_text("90000")  # for the app the clips are a day old, and an hour
    environ = {"CLOCK_AHEAD": str(ahead), "PYTHONPATH": str(ROOT / "tests" / "jumping_clock"),
               "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}  # fmt: skip
    with serving(tmp_path / "log", environ=environ):
        until(lambda: not clip.parent.exists(), 10)
    assert note.exists()


def test_a_clock_that_jumps_forward_and_back_harms_no_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    monkeypatch.setenv("CLOCK_AHEAD", str(ahead))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "jumping_clock"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with serving(tmp_path / "log") as app:
        client = Client(app.url, verbose=False)
        heard = {"text": "What is that sound?", "files": [handle_file(GLASS)]}
        first = client.predict(heard, temperature=0, api_name="/chat")
        for jump in ("90000", "-90000"):
            (tmp_path / "next").write_text(jump)
            (tmp_path / "next").replace(ahead)  # at once: the app reads it at any time
            clock = [sys.executable, "-c", "import time; print(time.time())"]
            assert abs(float(subprocess.check_output(clock)) - time.time() - float(jump)) < 60
            later = {"text": "What was the first sound?", "files": []}
            assert "glass" in client.predict(later, temperature=0, api_name="/chat")
        assert client.predict(heard, temperature=0, api_name="/chat") == first
        assert "Traceback" not in app.log
