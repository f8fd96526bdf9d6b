"""What tests share: one engine, one app, one browser whose microphone hears a clip of ours."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from inspect import unwrap
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import settings
from playwright.sync_api import Browser, Playwright, sync_playwright

from demo.checkpoint import choose, load
from demo.local import LocalEngine
from tests.model_card import ModelCard
from tests.serving import PATIENCE, ROOT, Served, serving
from tests.sounds import wav
from tests.visitor import Visitor

Visit = Callable[..., Visitor]

CLIPS = ROOT / "assets" / "examples"
SPOKEN = "voice-chat-sum.flac"  # "What is three plus four?"
CHROMIUM = Path("/usr/bin/chromium")
QUIET_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

ASKING = (
    httpx.request, httpx.get, httpx.post, httpx.stream,
    httpx.Client.__init__, httpx.AsyncClient.__init__,
)  # fmt: skip


def pytest_configure() -> None:
    """Nothing is left to chance, and where a program gives up after five seconds, a test waits."""
    settings.register_profile("tests", deadline=None, derandomize=True)
    settings.load_profile("tests")
    for ask in map(unwrap, ASKING):
        assert ask.__kwdefaults__
        ask.__kwdefaults__["timeout"] = httpx.Timeout(PATIENCE)


def spoken_wav(folder: Path, clip: str = SPOKEN) -> Path:
    """What the fake microphone plays, over and over: a question between two rests.

    A browser that is slow to record loses of the first.
    """
    samples, rate = soundfile.read(CLIPS / clip, dtype="float32")
    path = folder / "microphone.wav"
    soundfile.write(path, np.pad(samples, (rate, 3 * rate)), rate)
    return path


def launch(playwright: Playwright, microphone: Path) -> Browser:
    """Debian's Chromium, headless, hearing `microphone` and asking nobody on the network."""
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    return playwright.chromium.launch(
        executable_path=str(CHROMIUM),
        args=[*QUIET_CHROMIUM, *fake, f"--use-file-for-fake-audio-capture={microphone}"],
    )


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav())
    return str(path)


@pytest.fixture(scope="session")
def card() -> ModelCard:
    return ModelCard()


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """The preview checkpoint's engine, exact and on the CPU."""
    engine = load(choose("preview", device="cpu", dtype="float32"), lambda status: None)
    assert isinstance(engine, LocalEngine)
    with closing(engine):
        yield engine


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    flags = ["--model", "preview", "--dtype", "float32", "--mcp"]
    likes = folder / "likes.jsonl"
    with serving(folder / "log", *flags, "--feedback-file", str(likes)) as app:
        yield app


@pytest.fixture(scope="module")  # not longer: while Playwright runs, no event loop can
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip("the page's tests drive /usr/bin/chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = launch(playwright, spoken_wav(tmp_path_factory.mktemp("microphone")))
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Visit]:
    """Opens the page as a new visitor; at the end no visitor may have met a problem."""
    visitors: list[Visitor] = []

    def come(**context: Any) -> Visitor:
        visitors.append(Visitor(browser, served.url, **context))
        return visitors[-1]

    yield come
    problems = [problem for visitor in visitors for problem in visitor.problems]
    for visitor in visitors:
        visitor.close()
    assert not problems


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    return visit()
