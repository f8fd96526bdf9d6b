"""What others write does nothing in the page: a person's words, a model's, the name of a file."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.openai_server import Server, saying, talking
from tests.serving import Served, serving
from tests.sounds import wav
from tests.visitor import Visitor


class Elsewhere(ThreadingHTTPServer):
    """Another host, which notes whoever comes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        assert isinstance(self.server, Elsewhere)
        self.server.asked.append(self.path)
        self.send_error(404)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def model() -> Iterator[Server]:
    with talking() as server:
        yield server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, model: Server) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hostile")
    flags = ["--engine", "openai", "--base-url", model.url]
    with serving(folder / "log", *flags) as served:
        yield served


def hostile(url: str) -> str:
    return (
        f'![a]({url}/a.png) <img src="{url}/b.png" onerror="window.ran=1"> '
        f'<script>window.ran=2</script> <iframe src="{url}/c"></iframe> '
        f'<svg onload="window.ran=3"></svg> <audio src="{url}/d.wav" autoplay></audio> '
        f'<a href="javascript:window.ran=4">click</a> <form action="{url}/e"></form> '
        f"<style>body {{ background: url({url}/f.png); }}</style> the end"
    )


def test_words_of_others_run_nothing_and_load_nothing(
    browser: Browser, app: Served, model: Server, elsewhere: Elsewhere, tmp_path: Path
):
    model.acts[:] = [saying(hostile(elsewhere.url))]
    clip = tmp_path / "<img src=x onerror=window.ran=5>.wav"
    clip.write_bytes(wav())
    visitor = Visitor(browser, app.url)
    visitor.open("analysis")
    visitor.ask(hostile(elsewhere.url), clip)
    expect(visitor.replies("analysis")).to_contain_text("the end")
    expect(visitor.said("analysis").last).to_contain_text("the end")
    visitor.until_done("analysis")
    for link in visitor.chat("analysis").get_by_text("click", exact=True).all():
        link.click()
    visitor.page.wait_for_timeout(1000)
    assert visitor.page.evaluate("window.ran") is None
    assert elsewhere.asked == []
    visitor.context.close()
