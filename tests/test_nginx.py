"""Two processes of the app behind Debian's nginx, by the configuration that README names.

They are front ends of a chat server that says what a test wants, so that both start quickly.
"""

import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, expect

from tests.conftest import CLIPS
from tests.openai_server import Server, Visit, endless, saying, talking
from tests.serving import PATIENCE, ROOT, Served, answers, free_port, serving, until
from tests.visitor import Visitor

pytestmark = [
    pytest.mark.skipif(not shutil.which("nginx"), reason="Debian: apt-get install nginx"),
    pytest.mark.slow,
]
GLASS = CLIPS / "glass-breaking.flac"


@dataclass(frozen=True)
class Cluster:
    """What stands before and behind the two apps."""

    url: str
    apps: dict[str, Served]  # by the name of their route
    model: Server


def slowly(visit: Visit) -> None:
    visit.begin()
    for word in ("one ", "two ", "three"):
        visit.say(word)
        time.sleep(1.5)  # longer than a machine with other work holds one up
    visit.conclude()


def configured(folder: Path, ports: dict[str, int]) -> list[str]:
    """The command that runs nginx by the project's configuration, on free ports."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for written, port in ports.items():
        assert written in text
        text = re.sub(rf"\b{written}\b", str(port), text)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    (folder / "logs").mkdir()
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("nginx")
    with ExitStack() as stack:
        model = stack.enter_context(talking(saying("Hello")))
        flags = ["--engine", "openai", "--base-url", model.url]
        one, two = (
            stack.enter_context(serving(folder / f"{name}.log", *flags)) for name in ("one", "two")
        )
        port = free_port()
        named = {"7861": _port(one), "7862": _port(two), "8080": port}
        command = configured(folder, named)
        with (folder / "nginx.log").open("wb") as log:
            nginx = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}"))
            yield Cluster(f"http://127.0.0.1:{port}", {"one": one, "two": two}, model)
        finally:
            nginx.terminate()
            nginx.wait(PATIENCE)


def _port(app: Served) -> int:
    return int(app.url.rpartition(":")[2])


@pytest.fixture
def client(cluster: Cluster) -> Client:
    cluster.model.acts[:] = [saying("Hello")]
    cluster.model.asked.clear()
    return Client(cluster.url, verbose=False)


def test_words_come_as_they_are_made(cluster: Cluster, client: Client):
    cluster.model.acts[:] = [slowly]
    seen: dict[str, float] = {}
    for text in client.submit({"text": "Count.", "files": []}, api_name="/chat"):
        seen.setdefault(str(text), time.monotonic())
    assert [text for text in seen if text] == ["one ", "one two ", "one two three"]
    assert seen["one two three"] - seen["one "] > 1.5


def test_an_upload_reaches_the_model(cluster: Cluster, client: Client):
    message = {"text": "What?", "files": [handle_file(GLASS)]}
    assert client.predict(message, api_name="/chat") == "Hello"
    sound, _ = cluster.model.asked[0]["messages"][-1]["content"]
    assert len(sound["input_audio"]["data"]) > 10_000


def test_a_session_stays_with_its_process(cluster: Cluster, client: Client):
    for count in range(1, 4):
        client.predict({"text": f"Turn {count}", "files": []}, api_name="/chat")
        assert len(cluster.model.asked[-1]["messages"]) == 2 * count - 1


def test_visitors_are_spread_over_the_processes(cluster: Cluster):
    drawn = set()
    for _ in range(20):
        with urllib.request.urlopen(cluster.url, timeout=PATIENCE) as page:
            cookies = page.headers.get_all("Set-Cookie", [])
        drawn |= {one.partition(";")[0] for one in cookies if one.startswith("process=")}
    assert drawn == {"process=one", "process=two"}


def test_stop_ends_the_request_behind_it_all(cluster: Cluster, client: Client):
    cluster.model.acts[:] = [endless]
    cluster.model.left.clear()
    job = client.submit({"text": "Go on.", "files": []}, api_name="/chat")
    until(lambda: any(job.outputs()))
    job.cancel()
    assert cluster.model.left.wait(10)


def test_where_a_process_dies_its_visitors_go_on_with_the_other(cluster: Cluster, browser: Browser):
    """The last test here: one of the two is gone after it."""
    cluster.model.acts[:] = [saying("Hello")]
    visitor = Visitor(browser, cluster.url)
    visitor.open("analysis")
    visitor.ask("Before?", GLASS)
    expect(visitor.replies("analysis")).to_have_count(1)
    visitor.until_done("analysis")
    (cookie,) = (one for one in visitor.context.cookies() if one.get("name") == "process")
    visitor.until_told()
    app = cluster.apps[str(cookie.get("value"))]
    app.process.kill()
    app.process.wait()
    visitor.ask("After?")
    expect(visitor.replies("analysis")).to_have_count(2)
    asked = cluster.model.asked[-1]["messages"]
    assert [turn["role"] for turn in asked] == ["user", "assistant", "user"]
    assert "input_audio" in str(asked[0])
    visitor.context.close()
