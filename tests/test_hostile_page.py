"""What others write does nothing in the page: a person's words, a model's, the name of a file."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.openai_server import Server, saying, talking
from tests.serving import Served, serving
from tests.sounds import wav
from tests.test_hostile_names import ENTITIES
from tests.test_page_batch import Batcher
from tests.visitor import Visitor

pytestmark = pytest.mark.slow


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


@pytest.fixture
def visitor(browser: Browser, app: Served, elsewhere: Elsewhere) -> Iterator[Visitor]:
    """A visitor in whose page nothing may have run at the end, nor asked elsewhere."""
    visitor = Visitor(browser, app.url)
    yield visitor
    visitor.page.wait_for_timeout(1000)
    ran = visitor.page.evaluate("window.ran")
    visitor.close()
    assert ran is None
    assert elsewhere.asked == []


def test_words_of_others_run_nothing_and_load_nothing(
    visitor: Visitor, model: Server, elsewhere: Elsewhere, tmp_path: Path
):
    model.acts[:] = [saying(hostile(elsewhere.url))]
    clip = tmp_path / f"{ENTITIES}.wav"
    clip.write_bytes(wav())
    visitor.open("analysis")
    visitor.ask(hostile(elsewhere.url), clip)
    expect(visitor.replies("analysis")).to_contain_text("the end")
    expect(visitor.said("analysis").last).to_contain_text("the end")
    visitor.until_done("analysis")
    for link in visitor.chat("analysis").get_by_text("click", exact=True).all():
        link.click()


def test_a_name_of_entities_is_shown_as_it_is_where_its_file_is_refused(
    visitor: Visitor, tmp_path: Path
):
    letter = tmp_path / f"{ENTITIES}.wav"
    letter.write_text("Dear reader, this is no sound.\n" * 40)
    visitor.open("analysis")
    visitor.ask("What is that?", letter)
    alert = visitor.page.get_by_role("alert").filter(has_text="is not a sound file")
    expect(alert.first).to_contain_text(ENTITIES)


def test_a_manifest_and_its_replies_are_shown_as_they_are(
    visitor: Visitor, model: Server, elsewhere: Elsewhere, tmp_path: Path
):
    words = hostile(elsewhere.url)
    model.acts[:] = [saying(words)]
    clip, manifest = tmp_path / f"{ENTITIES}.wav", tmp_path / "manifest.jsonl"
    clip.write_bytes(wav())
    rows = [{"audio": clip.name, "prompt": words, "gt": words}, {"audio": f"<b>{words}"}]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    batcher = Batcher(visitor)
    batcher.send(manifest, clip)
    batcher.start()
    batcher.until_all()
    first = batcher.rows().first
    expect(first.locator("th")).to_contain_text(ENTITIES)
    for cell in ("th small:last-child", "td:nth-of-type(2)", ".gt"):
        expect(first.locator(cell)).to_contain_text("<script>window.ran=2</script>")
    expect(batcher.rows().locator("img, script, iframe, svg, audio, a, form, style")).to_have_count(
        0
    )
    expect(batcher.rows().last.locator(".problem")).to_be_visible()
