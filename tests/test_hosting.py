"""What a host relies on: health, numbers, a log without content, an orderly end."""

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from gradio_client import Client, handle_file

from demo.exposure import warnings
from demo.settings import parse
from tests.conftest import CLIPS
from tests.openai_server import endless, talking
from tests.serving import PATIENCE, ROOT, UPLOADS, Served, serving, until

pytestmark = pytest.mark.slow

GLASS = {"text": "What is that sound?", "files": [handle_file(CLIPS / "glass-breaking.flac")]}


def asked(url: str, **headers: str) -> tuple[int, str]:
    """The status and the body of a page."""
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as it:
            return it.status, it.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def number(text: str, name: str) -> float:
    """One number of Prometheus' text."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return float(line.rpartition(" ")[2])


# Who can reach it.


@pytest.mark.parametrize(("flags", "words"), [
    ([], []),
    (["--host", "127.0.0.1"], []),
    (["--host", "::1"], []),
    (["--host", "0.0.0.0"], ["0.0.0.0 can use this page"]),
    (["--share"], ["the shared address can use this page"]),
    (["--host", "0.0.0.0", "--auth", "me:secret"], ["list of processes"]),
    (["--auth=me:secret"], ["list of processes"]),
    (["--engine", "openai", "--base-url=http://me:secret@gpu1/v1"], ["into DEMO_BASE_URL"]),
    (["--engine", "openai", "--base-url=http://gpu1/v1"], []),
])  # fmt: skip
def test_a_host_is_told_who_can_reach_the_page(flags: list[str], words: list[str]):
    told = list(warnings(parse(flags, {}), flags, {}))
    assert len(told) == len(words)
    assert all(word in sentence for word, sentence in zip(words, told, strict=True))
    assert not any("secret" in sentence for sentence in told)


def test_accounts_in_a_file_or_in_the_environment_are_nobodys_to_read(tmp_path: Path):
    (tmp_path / "accounts").write_text("me:secret\n", encoding="utf-8")
    flags = ["--host", "0.0.0.0", "--auth", f"@{tmp_path / 'accounts'}"]
    assert list(warnings(parse(flags, {}), flags, {})) == []
    assert list(warnings(parse([], {"DEMO_AUTH": "me:secret"}), [], {})) == []
    assert list(warnings(parse(["--share"], {}), ["--share"], {"SPACE_ID": "me/space"})) == []


# The app.


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hosted")
    with serving(folder / "log", "--model", "preview", "--dtype", "float32") as app:
        yield app


def test_a_ready_app_says_so(served: Served):
    assert asked(f"{served.url}/healthz") == (200, "ok\n")
    assert asked(f"{served.url}/readyz") == (200, "ready\n")


def test_the_numbers_tell_of_requests_and_of_what_was_kept(served: Served):
    client = Client(served.url, verbose=False)
    for _ in range(2):
        client.predict(GLASS, max_new_tokens=8, temperature=0, api_name="/chat")
    status, text = asked(f"{served.url}/metrics")
    assert status == 200
    assert number(text, 'demo_requests_total{outcome="done"}') >= 2
    assert number(text, "demo_first_word_seconds_count") >= 2
    assert number(text, "demo_tokens_per_second_count") >= 2
    assert number(text, "demo_tokens_per_second_sum") > 0
    assert number(text, "demo_running") == number(text, "demo_waiting") == 0
    assert sum(number(text, f'demo_clips_total{{from="{how}"}}') for how in ("kept", "heard")) >= 1
    assert number(text, 'demo_prompt_tokens_total{from="kept"}') > 0
    assert number(text, 'demo_bytes{what="weights"}') > 10e6
    assert number(text, 'demo_bytes{what="clips"}') > 0
    assert number(text, 'demo_bytes{what="conversations"}') > 0


def test_the_numbers_tell_errors_by_their_kind(served: Served):
    client = Client(served.url, verbose=False)
    with pytest.raises(Exception, match="top"):
        client.predict(GLASS, top_p=3, api_name="/chat")
    text = asked(f"{served.url}/metrics")[1]
    assert number(text, 'demo_requests_total{outcome="option"}') == 1


def test_a_request_is_one_line_without_content(served: Served):
    client = Client(served.url, verbose=False)
    secret = {"text": "A secret question", "files": [handle_file(CLIPS / "woman-visit.flac")]}
    before = len(lines(served))
    client.predict(secret, max_new_tokens=4, temperature=0, api_name="/chat")
    (line,) = lines(served)[before:]
    assert re.search(r"id=\w{8} clips=1 sound=\d+\.\ds first=.*pieces=\d+ outcome=done", line)
    assert "secret" not in served.log
    assert "woman-visit" not in served.log


def lines(served: Served) -> list[str]:
    return [line for line in served.log.splitlines() if "demo.requests" in line]


@pytest.mark.parametrize("path", [
    "/etc/passwd", "../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
    "app.py", str(ROOT / "app.py"), "requirements.txt", str(ROOT / ".git" / "config"),
    "/proc/self/environ", "~/.bashrc", "file:///etc/passwd", "//etc/passwd", "/tmp",
    str(CLIPS / ".." / ".." / "app.py"), "http://127.0.0.1:1/x",
])  # fmt: skip
def test_the_file_route_gives_out_nothing_of_the_machine(served: Served, path: str):
    for route in ("gradio_api/file=", "file="):
        status, text = asked(f"{served.url}/{route}{path}")
        assert status >= 400, text[:200]
        assert "root:" not in text
        assert "import" not in text


def test_the_file_route_follows_no_link_out_of_the_uploads(served: Served):
    link = UPLOADS / "link.wav"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/passwd")
    try:
        status, text = asked(f"{served.url}/gradio_api/file={link}")
        assert "root:" not in text
        assert status >= 400
    finally:
        link.unlink()


def test_an_app_that_waits_for_its_model_is_healthy_and_not_ready(tmp_path: Path):
    flags = ["--engine", "openai", "--base-url", "http://127.0.0.1:9/v1"]
    with serving(tmp_path / "log", *flags, ready=False) as app:
        assert asked(f"{app.url}/healthz")[0] == 200
        assert asked(f"{app.url}/readyz") == (503, "load\n")


def streamed(client: Client) -> Any:
    """A request whose reply has begun."""
    job = client.submit({"text": "Go on.", "files": []}, api_name="/chat")
    until(lambda: any(job.outputs()))
    return job


def test_a_client_that_is_gone_leaves_the_queue(tmp_path: Path):
    code = (
        "import sys, time; from gradio_client import Client; c = Client(sys.argv[1]);"
        "c.submit({'text': 'Go on.', 'files': []}, api_name='/chat'); time.sleep(600)"
    )
    with talking(endless) as model:
        flags = ["--engine", "openai", "--base-url", model.url]
        with serving(tmp_path / "log", *flags) as app:
            visitor = subprocess.Popen([sys.executable, "-c", code, app.url])
            until(lambda: bool(model.asked))
            assert number(asked(f"{app.url}/metrics")[1], "demo_running") == 1
            visitor.kill()
            visitor.wait()
            assert model.left.wait(20)
            until(lambda: number(asked(f"{app.url}/metrics")[1], "demo_running") == 0)


def test_a_reply_is_finished_when_the_app_is_asked_to_end(tmp_path: Path):
    def slowly(visit: Any) -> None:
        visit.begin()
        for word in ("one ", "two ", "three"):
            visit.say(word)
            time.sleep(1)
        visit.conclude()

    with talking(slowly) as model:
        flags = ["--engine", "openai", "--base-url", model.url]
        with serving(tmp_path / "log", *flags) as app:
            job = streamed(Client(app.url, verbose=False))
            app.process.terminate()
            assert job.result(timeout=PATIENCE) == "one two three"
            assert app.process.wait(20) == 0


def test_a_reply_without_an_end_is_told_that_the_app_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEMO_GRACE_SECONDS", "1")
    with talking(endless) as model:
        flags = ["--engine", "openai", "--base-url", model.url]
        with serving(tmp_path / "log", *flags) as app:
            job = streamed(Client(app.url, verbose=False))
            app.process.terminate()
            with pytest.raises(Exception, match="shut down"):
                job.result(timeout=PATIENCE)
            assert app.process.wait(20) == 0
            assert model.left.wait(PATIENCE)
