"""Whose an upload is, asked about: the API, MCP and the page hear nobody's but one's own."""

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Route, expect

from demo.owners import COOKIE
from tests.conftest import Visit, spoken_wav
from tests.crowd_parts import about
from tests.crowd_parts import model as model
from tests.mcp_parts import call
from tests.openai_server import Server
from tests.page_parts import GLASS, KNOCKS, greedy
from tests.serving import PATIENCE, Served
from tests.sounds import wav
from tests.test_owners import HERE, THERE, Come, sent
from tests.test_owners import app as app
from tests.test_owners import come as come
from tests.test_page_batch import Batcher
from tests.visitor import Visitor

pytestmark = pytest.mark.slow

UPLOAD = re.compile(r"/gradio_api/upload\b")

# The API.


def asked(client: httpx.Client, name: str, *data: Any, session: str = "") -> str:
    """What an endpoint says at the end, to a program that uploads nothing by itself."""
    body = {"data": [*data], **({"session_hash": session} if session else {})}
    start = client.post(f"/gradio_api/call/{name}", json=body)
    event = start.raise_for_status().json()["event_id"]
    told = client.get(f"/gradio_api/call/{name}/{event}", timeout=PATIENCE).text
    return [line for line in told.splitlines() if line.startswith("data: ")][-1]


def given(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def test_a_program_hears_its_own_uploads_and_no_others(come: Come):
    owner, other = come(), come()
    path = sent(owner)
    options = [8, *5 * [None]]
    calls = [
        ("generate", [about(given(path)), *options]),
        ("batch", [[given(path)], "sound", "english", None, None, *options]),
        ("batch", [[{"audio": given(path)}], "sound", "english", None, None, *options]),
        ("chat", [{"text": "What?", "files": [given(path)]}, None, *options]),
    ]
    for name, data in calls:
        assert "I hear it." in asked(owner, name, *data)
        refused = asked(other, name, *data)
        assert "I hear it." not in refused
        assert "is no upload of yours, or is not there any more" in refused


def said(words: str, *paths: str) -> list[Any]:
    """What /chat takes."""
    return [{"text": words, "files": [given(path) for path in paths]}, None, 8, *5 * [None]]


def heard(model: Server) -> list[str]:
    """The clips of the last request, as the model got them."""
    parts = [part for turn in model.asked[-1]["messages"] for part in turn["content"]]
    return [part["input_audio"]["data"] for part in parts if "input_audio" in part]


def test_a_name_that_leads_elsewhere_later_leads_to_nothing_of_others(
    come: Come, model: Server, tmp_path: Path
):
    owner, other = come(), come()
    link = tmp_path / "link.wav"  # as /proc/self/fd/9, the clip that the app has open just then
    link.symlink_to(sent(other))
    assert "I hear it." in asked(other, "chat", *said("What?", str(link)), session="other")
    own = heard(model)
    link.unlink()
    link.symlink_to(sent(owner))
    assert "I hear it." in asked(other, "chat", *said("And now?"), session="other")
    assert heard(model) == own


def test_a_session_is_of_who_began_it(come: Come, app: Served):
    owner, other = come(), come()
    assert "I hear it." in asked(owner, "chat", *said("What?", sent(owner)), session="owners")
    assert "opened by another visitor" in asked(other, "chat", *said("And?"), session="owners")
    with httpx.Client(base_url=app.url) as program:
        assert "opened by another visitor" in asked(program, "chat", *said("?"), session="owners")
    listening = "/gradio_api/queue/data?session_hash=owners"
    assert other.get(listening).status_code == 404
    assert "I hear it." in asked(owner, "chat", *said("And now?"), session="owners")


def test_gradios_client_is_a_visitor_of_its_own(app: Served, tmp_path: Path):
    clip = tmp_path / "mine.wav"
    clip.write_bytes(wav())
    clients = [Client(app.url, verbose=False) for _ in range(2)]
    assert clients[0].cookies[COOKIE] != clients[1].cookies[COOKIE]
    for client in clients:
        (row,) = client.predict([handle_file(clip)], api_name="/batch")
        assert (row["audio"], row["reply"]) == ("mine.wav", "I hear it.")


def test_an_mcp_client_hears_its_own_uploads_and_no_others(app: Served, tmp_path: Path):
    with httpx.Client(base_url=app.url, headers=HERE) as owner:
        path = sent(owner)
    machines = tmp_path / "machines.wav"
    machines.write_bytes(wav())

    def told(path: str, headers: dict[str, str]) -> str:
        conversation = {"conversation": about(given(path))}
        return asyncio.run(call(app.url, "generate", conversation, headers=headers))

    assert told(path, HERE) == "I hear it."
    with pytest.raises(AssertionError, match=r"mine\.wav is no upload of yours"):
        told(path, THERE)
    with pytest.raises(AssertionError, match=r"machines\.wav is no upload of yours"):
        told(str(machines), HERE)


# The page.


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


@pytest.mark.browser
def test_a_page_answers_nothing_about_anothers_clip(thief: Visitor, path: str):
    own = attached(thief, KNOCKS)
    swap(thief, own, path)
    thief.ask("What is that sound?")
    gone = thief.page.locator(".toast-body").filter(has_text="no longer on the server")
    expect(gone.first).to_be_visible()
    expect(thief.replies("analysis")).to_have_count(0)


@pytest.mark.browser
def test_a_page_that_comes_back_shows_no_clip_of_anothers(thief: Visitor, path: str):
    own = attached(thief, KNOCKS)
    thief.answer("analysis", lambda: thief.ask("What is that sound?"))
    swap(thief, own, path)
    thief.page.reload()
    thief.wait()
    thief.open("analysis")
    expect(thief.chat("analysis").get_by_text("no longer on the server")).to_be_visible()
    expect(thief.clips("analysis")).to_have_count(0)


@pytest.mark.browser
def test_a_batch_takes_no_clip_of_anothers(thief: Visitor, path: str):
    batcher = Batcher(thief)
    own = sending(thief, "#batch-files", KNOCKS)
    expect(thief.page.locator("#batch-files .file")).to_have_count(1)
    swap(thief, own, path)
    thief.page.locator("#batch-start").click()
    alert = thief.page.locator(".toast-body").filter(has_text="no longer on the server")
    expect(alert.first).to_be_visible()
    assert batcher.replies() == []


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
def test_a_conversation_goes_on_after_its_clip_was_deleted(visitor: Visitor, tmp_path: Path):
    path = attached(visitor, spoken_wav(tmp_path, KNOCKS.name))
    visitor.answer("analysis", lambda: visitor.ask("What is that sound?"))
    Path(path).unlink()
    assert visitor.answer("analysis", lambda: visitor.ask("What did I ask?"))
    expect(visitor.replies("analysis")).to_have_count(2)
    expect(visitor.chat("analysis").get_by_text("no longer on the server")).to_be_visible()
