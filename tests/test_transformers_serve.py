"""The app in front of a real `transformers serve`, which serves the preview checkpoint."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file

from demo.checkpoint import PREVIEW
from demo.connecting import connect
from demo.engine import Budgets, Engine, Options
from demo.local import LocalEngine
from demo.remote_errors import RemoteError
from demo.wanted import Remote
from tests.conftest import CLIPS
from tests.local_parts import CASES, reply
from tests.serving import START_SECONDS, answers, free_port, serving

pytestmark = pytest.mark.slow

GREEDY = Options(max_new_tokens=48, temperature=0.0)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; for any name of a model it answers by the one that it was started with."""
    folder, port = tmp_path_factory.mktemp("serve"), free_port()
    (folder / "hub").mkdir()  # without a cache it cannot tell what it serves
    program = Path(sys.executable).with_name("transformers")
    flags = ["--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", PREVIEW, *flags], env=environ, stdout=log, stderr=log
        )
    end = time.monotonic() + START_SECONDS
    try:
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def remote(url: str) -> Iterator[Any]:
    wanted = Remote(str(PREVIEW), (url,), "none", Budgets())
    with closing(connect(wanted, lambda status: None)) as engine:
        yield engine


@pytest.mark.parametrize("case", CASES)
def test_a_greedy_reply_is_the_local_engines(remote: Engine, engine: LocalEngine, case: str):
    assert reply(remote, case, GREEDY) == reply(engine, case, GREEDY)


def test_an_option_that_it_does_not_know_is_told(remote: Engine):
    with pytest.raises(RemoteError, match="top_k"):
        reply(remote, next(iter(CASES)), Options(top_k=5))


def test_the_whole_app_answers_from_it(url: str, tmp_path: Path):
    flags = ["--engine", "openai", "--base-url", url, "--model", str(PREVIEW)]
    message = {"text": "What is that sound?", "files": [handle_file(CLIPS / "glass-breaking.flac")]}
    with serving(tmp_path / "log", *flags) as app:
        client = Client(app.url, verbose=False)
        assert "glass" in client.predict(message, temperature=0, api_name="/chat")
