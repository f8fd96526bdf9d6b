"""What comes in at the edge: addresses, components and malformed calls, on the real app."""

import asyncio
import json
import logging
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.events import api
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demo.audio import Ear
from demo.loading import Loading
from demo.messages import Message
from demo.settings import Settings
from demo.ui.edge import Page
from demo.ui.kit import Kit
from tests import web
from tests.conftest import CLIPS
from tests.serving import PATIENCE, UPLOADS, Served, serving
from tests.ui_parts import Parrot

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"max_new_tokens": 8, "temperature": 0}
META = {"_type": "gradio.FileData"}
PANEL = ["", "8", "0", "", "", "", ""]
SECRET = "SECRETWORD"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app that may fetch from this machine: Gradio itself would not."""
    flags = ["--model", "preview", "--dtype", "float32", "--allow-private-urls"]
    with serving(tmp_path_factory.mktemp("edge") / "log", *flags) as served:
        yield served


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with web.serving() as address:
        yield address


@pytest.fixture
def client(app: Served) -> Client:
    return Client(app.url, verbose=False)


def posted(app: Served, handler: str, data: list[Any], language: str = "en") -> Any:
    """What a handler, also one of the page, answers to a client that sends what it likes."""
    found = httpx.get(f"{app.url}/config").json()["dependencies"]
    body = {
        "data": data,
        "fn_index": next(one["id"] for one in found if one["api_name"] == handler),
        "session_hash": uuid.uuid4().hex,
    }
    queue, asking = f"{app.url}/gradio_api/queue", {"Accept-Language": language}
    httpx.post(f"{queue}/join", json=body, headers=asking).raise_for_status()
    session = {"session_hash": body["session_hash"]}
    with httpx.stream("GET", f"{queue}/data", params=session, timeout=PATIENCE) as stream:
        told = (json.loads(line.removeprefix("data:") or "{}") for line in stream.iter_lines())
        return next(one["output"] for one in told if one.get("msg") == "process_completed")


# Addresses in file objects.


def asked(client: Client, endpoint: str, address: str) -> str:
    """What an endpoint says of a clip that `handle_file` makes of an address."""
    clip = handle_file(address)
    if endpoint == "/chat":
        return client.predict({"text": "", "files": [clip]}, **SHORT, api_name=endpoint)
    if endpoint == "/generate":
        turn = {"role": "user", "content": [{"type": "audio", "audio_url": clip}]}
        return client.predict([turn], **SHORT, api_name=endpoint)
    plain, inside = client.predict([clip, {"audio": clip}], **SHORT, api_name=endpoint)
    assert plain.get("error") == inside.get("error")
    if "error" in plain:
        raise AppError(plain["error"])
    return plain["reply"]


@pytest.mark.parametrize("endpoint", ["/chat", "/generate", "/batch"])
def test_an_address_is_fetched_within_our_limits(client: Client, site: str, endpoint: str):
    assert asked(client, endpoint, f"{site}/tone.wav")
    for page, told in (("page", "is a web page"), ("large", "too large"), ("gone", "404")):
        with pytest.raises(AppError, match=told):
            asked(client, endpoint, f"{site}/{page}")


def test_the_page_takes_no_address(app: Served, site: str):
    file = {"path": f"{site}/tone.wav", "meta": META}
    history = [{"role": "user", "content": [{"type": "file", "file": file}]}]
    for data in (
        [{"text": "", "files": [file]}, [], *PANEL],
        [{"text": "What?", "files": []}, history, *PANEL],
    ):
        assert "takes files and no addresses" in posted(app, "send", data)["error"]
    assert "takes files" in posted(app, "recorded", [file, [], *PANEL])["error"]
    assert "takes files" in posted(app, "dropped", [[file], [], *PANEL])["error"]
    assert "只接受文件" in posted(app, "dropped", [[file], [], *PANEL], "zh-CN")["error"]


# Components in a chat.


@pytest.mark.parametrize("kind", ["audio", "file", "image", "video"])
def test_a_component_in_a_chat_is_not_built(app: Served, kind: str, tmp_path: Path):
    name = f"{uuid.uuid4().hex}.flac"
    shutil.copy(CLIPS / "siren-loud.flac", tmp_path / name)
    for value in ({"path": str(tmp_path / name)}, {"path": f"/gone/{name}"}):
        told = {"video": value} if kind == "video" else value
        part = {"component": kind, "value": told, "constructor_args": {}, "props": {}}
        for given in (part, {"type": "component", **part}):
            history = [{"role": "user", "content": [given]}]
            answer = posted(app, "send", [{"text": "What?", "files": []}, history, *PANEL])
            assert "not of the form" in answer["error"]
    assert UPLOADS.is_dir()
    assert not list(UPLOADS.rglob(name))


# What is malformed.

OUTSIDE = {"path": f"/{SECRET}.wav", "meta": META}


@pytest.mark.parametrize(("handler", "data", "told"), [
    ("chat", [SECRET, *[None] * 8], "valid dictionary"),
    ("chat", [{"files": []}, *[None] * 8], "text: Field required"),
    ("chat", [{"text": [SECRET], "files": []}, *[None] * 8], "text: Input should be"),
    ("chat", [{"text": "", "files": [f"/{SECRET}.wav"]}, *[None] * 8], "'meta' field"),
    ("chat", [{"text": "", "files": [{"path": f"/{SECRET}.wav"}]}, *[None] * 8], "'meta' field"),
    ("chat", [{"text": "", "files": [OUTSIDE]}, *[None] * 8], "no upload of yours"),
    ("chat", [{"text": SECRET}], "not of the form"),
    ("generate", [[{"role": "user", "content": [OUTSIDE]}], *[None] * 6], "no upload of yours"),
    ("generate", [[{"role": SECRET, "content": ""}], *[None] * 6], "role"),
    ("batch", [[OUTSIDE], *[None] * 10], "no upload of yours"),
    ("send", [{"text": "", "files": []}, SECRET, *PANEL], "not of the form"),
    ("send", [{"text": "", "files": []}, [{"role": SECRET}], *PANEL], "not of the form"),
])  # fmt: skip
def test_a_malformed_call_is_a_sentence_for_its_sender_and_a_line_for_the_host(
    app: Served, handler: str, data: list[Any], told: str
):
    before = len(app.log)
    error = posted(app, handler, data)["error"]
    assert told in error
    (line,) = app.log[before:].splitlines()
    assert f"id={error.rpartition(' ')[2].strip(')')} " in line
    assert SECRET not in line


def test_a_request_that_gradio_cannot_place_is_a_sentence_too(app: Served):
    before = len(app.log)
    route, chinese = f"{app.url}/gradio_api", {"Accept-Language": "zh"}
    answers = [
        httpx.post(f"{route}/call/{SECRET}", json={"data": [SECRET]}),
        httpx.post(f"{route}/call/v2/chat", json={SECRET: 1}, headers=chinese),
        httpx.post(f"{route}/queue/join", json={"data": [], "fn_index": 9999, "session_hash": "x"}),
    ]
    assert [answer.status_code for answer in answers] == [500] * 3
    assert "cannot be answered" in answers[0].text
    assert "无法处理" in answers[1].text
    lines = app.log[before:].splitlines()
    assert len(lines) == 3
    assert all("Error in " in line and SECRET not in line for line in lines)


@pytest.fixture
def kit() -> Kit:
    return Kit(Loading.of(Parrot()), Ear(), Settings(), Message({"n": ("Preview.", "预览。")}, "n"))


def test_a_handler_that_is_cancelled_before_its_first_output_is_closed(kit: Kit):
    begun, go_on, closed = Event(), Event(), Event()

    def slow() -> Iterator[str]:
        try:
            begun.set()
            go_on.wait(PATIENCE)
            yield "first"
            yield "second"
        finally:
            closed.set()

    async def call() -> bool:
        with Page(kit) as page:
            api(slow, api_name="slow")
        (fn,) = page.fns.values()
        handler = asyncio.create_task(page.process_api(block_fn=fn, inputs=[]))
        await asyncio.to_thread(begun.wait, PATIENCE)
        handler.cancel()
        with pytest.raises(asyncio.CancelledError) as kept:  # and, as Gradio does, what it holds
            await handler
        go_on.set()
        return await asyncio.to_thread(closed.wait, 5) and kept.type is asyncio.CancelledError

    assert asyncio.run(call())


def test_an_error_of_our_own_is_told_by_its_kind_and_place(
    caplog: pytest.LogCaptureFixture, kit: Kit
):
    def broken(words: str) -> str:
        raise KeyError(words)

    async def call() -> None:
        with Page(kit) as page:
            api(broken, api_name="broken")
        (fn,) = page.fns.values()
        await page.process_api(block_fn=fn, inputs=[SECRET])

    with pytest.raises(gr.Error, match="went wrong on the server") as raised:
        asyncio.run(call())
    assert not raised.value.print_exception
    (line,) = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert "KeyError in" in line
    assert "test_edge.py" in line
    assert "broken" in line
    assert SECRET not in line
