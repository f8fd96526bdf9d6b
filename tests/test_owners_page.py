"""Whose an upload is, asked about on the page: it hears and shows nobody's but one's own."""

import re
import uuid
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.conftest import Visit, spoken_wav
from tests.page_parts import GLASS, KNOCKS, greedy
from tests.serving import Served
from tests.test_page_batch import Batcher
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

UPLOAD = re.compile(r"/gradio_api/upload\b")
PLAYED = re.compile(r"/gradio_api/file=")


def sending(visitor: Visitor, entry: str, clip: Path) -> str:
    """Attaches a clip; the path that the server gave it."""
    with visitor.page.expect_response(UPLOAD) as coming:
        visitor.page.locator(f"{entry} input[type=file]").set_input_files([clip])
    return coming.value.json()[0]


def attached(visitor: Visitor, clip: Path) -> str:
    """At the analysis tab with a clip, before a question; the path that the server gave it."""
    visitor.open("analysis")
    greedy(visitor, longest=8)
    path = sending(visitor, "#question", clip)
    expect(visitor.page.locator("#question .thumbnail-item")).to_have_count(1)
    return path


@pytest.fixture
def path(visit: Visit, served: Served, tmp_path: Path) -> str:
    """A clip that somebody else has asked about on the page."""
    victim = visit()
    # A sound that is no example, by a name under which nobody has sent it before.
    clip = spoken_wav(tmp_path, GLASS.name).rename(tmp_path / f"{uuid.uuid4().hex}.wav")
    path = attached(victim, clip)
    victim.answer("analysis", lambda: victim.ask("What is that sound?"))
    expect(victim.clips("analysis")).to_have_count(1)
    assert victim.page.request.get(f"{served.url}/gradio_api/file={path}").ok
    assert httpx.get(f"{served.url}/gradio_api/file={path}").status_code == 404
    return path


@pytest.fixture
def thief(visit: Visit) -> Visitor:
    return visit()


def swap(visitor: Visitor, own: str, path: str) -> None:
    """Has the visitor's page name `path` wherever it names `own` from now on."""

    def swapped(route: Route) -> None:
        route.continue_(post_data=(route.request.post_data or "").replace(own, path))

    visitor.page.route(re.compile(r"/gradio_api/(queue/join|run/)"), swapped)


def test_a_page_answers_nothing_about_anothers_clip(thief: Visitor, path: str):
    own = attached(thief, KNOCKS)
    swap(thief, own, path)
    thief.ask("What is that sound?")
    gone = thief.page.locator(".toast-body").filter(has_text="no longer on the server")
    expect(gone.first).to_be_visible()
    expect(thief.replies("analysis")).to_have_count(0)


def test_a_page_that_comes_back_shows_no_clip_of_anothers(thief: Visitor, path: str):
    own = attached(thief, KNOCKS)
    thief.answer("analysis", lambda: thief.ask("What is that sound?"))
    swap(thief, own, path)
    thief.page.reload()
    thief.wait()
    thief.open("analysis")
    expect(thief.chat("analysis").get_by_text("no longer on the server")).to_be_visible()
    expect(thief.clips("analysis")).to_have_count(0)


def test_a_message_that_lost_one_of_its_clips_goes_on_after_a_reload(visit: Visit, tmp_path: Path):
    visitor = visit()
    attached(visitor, KNOCKS)
    clip = spoken_wav(tmp_path, GLASS.name).rename(tmp_path / f"{uuid.uuid4().hex}.wav")
    lost = Path(sending(visitor, "#question", clip))
    expect(visitor.page.locator("#question .thumbnail-item")).to_have_count(2)
    with visitor.page.expect_response(lambda one: "/file=" in one.url and lost.name in one.url):
        visitor.answer("analysis", lambda: visitor.ask("What are these sounds?"))
    lost.unlink()
    visitor.ask("And now?")
    told = visitor.page.locator(".toast-body").filter(has_text="load the page again")
    expect(told).to_contain_text(f"{lost.name}: this clip is no longer on the server")
    expect(visitor.page.locator("#question textarea")).to_have_value("And now?")
    visitor.page.reload()
    visitor.wait()
    visitor.open("analysis")
    expect(visitor.clips("analysis")).to_have_count(1)
    greedy(visitor, longest=8)
    visitor.answer("analysis", lambda: visitor.ask("And now?"))
    expect(visitor.replies("analysis")).to_have_count(2)


def test_a_batch_takes_no_clip_of_anothers(thief: Visitor, path: str):
    batcher = Batcher(thief)
    own = sending(thief, "#batch-files", KNOCKS)
    expect(thief.page.locator("#batch-files .file")).to_have_count(1)
    swap(thief, own, path)
    thief.page.locator("#batch-start").click()
    alert = thief.page.locator(".toast-body").filter(has_text="no longer on the server")
    expect(alert.first).to_be_visible()
    assert batcher.replies() == []


def test_the_replies_of_a_batch_are_given_to_who_asked(visitor: Visitor, tmp_path: Path):
    clip = tmp_path / f"{uuid.uuid4().hex}.flac"  # its name is in the replies, so they are new
    clip.write_bytes(GLASS.read_bytes())
    batcher = Batcher(visitor)
    batcher.send(clip)
    batcher.start()
    batcher.until_all()
    with visitor.page.expect_download() as coming:
        visitor.page.locator("#batch-csv").click()
    assert clip.name in Path(coming.value.path()).read_text()
    assert httpx.get(coming.value.url).status_code == 404


def test_an_example_is_everybodys_also_where_somebody_uploads_it(
    visit: Visit, served: Served, tmp_path: Path
):
    same = tmp_path / KNOCKS.name
    same.write_bytes(KNOCKS.read_bytes())
    first, second = visit(), visit()
    for visitor in (first, second):
        visitor.open("analysis")
        greedy(visitor, longest=8)
    path = sending(first, "#question", same)
    knocks = second.page.get_by_role("button", name="Knocks, counted")
    second.answer("analysis", knocks.click)
    expect(second.clips("analysis")).to_have_count(1)
    assert second.page.request.get(f"{served.url}/gradio_api/file={path}").ok


def test_a_conversation_goes_on_after_its_clip_was_deleted(visitor: Visitor, tmp_path: Path):
    path = attached(visitor, spoken_wav(tmp_path, KNOCKS.name))
    with visitor.page.expect_response(PLAYED):
        visitor.answer("analysis", lambda: visitor.ask("What is that sound?"))
    Path(path).unlink()
    assert visitor.answer("analysis", lambda: visitor.ask("What did I ask?"))
    expect(visitor.replies("analysis")).to_have_count(2)
    expect(visitor.chat("analysis").get_by_text("no longer on the server")).to_be_visible()
