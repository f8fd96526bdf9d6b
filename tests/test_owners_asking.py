"""Whose an upload is, asked about by programs: the API and MCP hear nobody's but one's own."""

import asyncio
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from demo.owners import COOKIE
from tests.crowd_parts import about
from tests.crowd_parts import model as model
from tests.mcp_parts import call
from tests.openai_server import Server
from tests.serving import PATIENCE, Served
from tests.sounds import wav
from tests.test_owners import HERE, THERE, Come, sent
from tests.test_owners import app as app
from tests.test_owners import come as come

pytestmark = pytest.mark.slow


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


def heard(model: Server) -> list[bytes]:
    """The clips of the last request, as the model got them: what follows a head with the time."""
    parts = [part for turn in model.asked[-1]["messages"] for part in turn["content"]]
    files = [part["input_audio"]["data"] for part in parts if "input_audio" in part]
    return [b64decode(file).partition(b"data")[2] for file in files]


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
