"""`python app.py` as a host starts it, used by a real client."""

import asyncio
import base64
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.mcp_parts import call, tools
from tests.model_card import ModelCard
from tests.serving import ROOT, Served, free_port, serving
from tests.sounds import wav

pytestmark = pytest.mark.slow

GREEDY = {"max_new_tokens": 48, "temperature": 0, "repetition_penalty": 1.0}


@pytest.fixture
def client(served: Served) -> Client:
    return Client(served.url, verbose=False)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "a tone.wav"
    path.write_bytes(wav())
    return str(path)


def turn(clip: str | None, text: str) -> dict[str, Any]:
    audio = [{"type": "audio", "audio_url": clip}] if clip else []
    return {"role": "user", "content": [*audio, {"type": "text", "text": text}]}


def uploaded(conversation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation with its clips as `handle_file` gives them."""
    return [
        {**one, "content": [_uploaded(part) for part in one["content"]]}
        if isinstance(one["content"], list)
        else one
        for one in conversation
    ]


def _uploaded(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "audio_url": handle_file(part["audio_url"])} if "audio_url" in part else part


def test_generate_gives_what_the_model_card_gives(client: Client, card: ModelCard, clip: str):
    conversation = [
        turn(clip, "What is that sound?"),
        {"role": "assistant", "content": "A tone."},
        turn(clip, "And this one?"),
    ]
    reply = client.predict(uploaded(conversation), **GREEDY, api_name="/generate")
    assert reply == card.reply(conversation, 48)


def test_chat_keeps_the_conversation_of_its_client(client: Client, card: ModelCard, clip: str):
    first = client.predict(
        {"text": "What is that sound?", "files": [handle_file(clip)]}, **GREEDY, api_name="/chat"
    )
    second = client.predict({"text": "Is it loud?", "files": []}, **GREEDY, api_name="/chat")
    conversation = [turn(clip, "What is that sound?")]
    assert first == card.reply(conversation, 48)
    conversation += [{"role": "assistant", "content": first}, turn(None, "Is it loud?")]
    assert second == card.reply(conversation, 48)


def test_two_clients_never_share_a_conversation(served: Served, clip: str):
    one, other = Client(served.url, verbose=False), Client(served.url, verbose=False)
    asked = {"text": "What was the first sound?", "files": []}
    alone = other.predict(asked, **GREEDY, api_name="/chat")
    one.predict({"text": "", "files": [handle_file(clip)]}, **GREEDY, api_name="/chat")
    again = Client(served.url, verbose=False).predict(asked, **GREEDY, api_name="/chat")
    assert again == alone


def test_options_left_out_take_their_defaults(client: Client, clip: str):
    assert client.predict(uploaded([turn(clip, "What is that sound?")]), api_name="/generate")


def test_a_reply_is_streamed_as_it_grows(client: Client, clip: str):
    job = client.submit(uploaded([turn(clip, "What is that sound?")]), api_name="/generate")
    pieces = list(job)
    assert len(pieces) > 1
    assert all(len(one) <= len(other) for one, other in pairwise(pieces))
    assert pieces[-1] == job.result()


def test_a_data_url_is_heard(client: Client, clip: str):
    data = "data:audio/wav;base64," + base64.b64encode(Path(clip).read_bytes()).decode()
    asked = "What is that sound?"
    assert client.predict([turn(data, asked)], **GREEDY, api_name="/generate") == client.predict(
        uploaded([turn(clip, asked)]), **GREEDY, api_name="/generate"
    )


@pytest.mark.parametrize(
    ("conversation", "said"),
    [
        ([turn("/etc/passwd", "What is that?")], "/etc/passwd"),
        ([{"role": "robot", "content": "hello"}], "robot"),
        ([turn("http://127.0.0.1:9/a.wav", "What?")], "127.0.0.1"),
        ([turn("data:audio/wav;base64,AAAA", "What?")], "not"),
        ([{"role": "user", "content": "word " * 200_000}], "is 400032 tokens long"),
        ([*10_000 * [{"role": "user", "content": "Go on."}]], "takes 8192"),
        ([{"role": "user", "content": "x" * 1_000_001}], "has 1000001 characters of text"),
        ([*20_001 * [{"role": "user", "content": "x"}]], "has 20001 turns"),
        ([{"role": "user", "content": 20_001 * [{"type": "text", "text": "x"}]}], "20001 turns or"),
        ([{"role": "user", "content": " \n\t "}], "neither words nor a clip"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_answered_gets_a_sentence(client: Client, conversation: Any, said: str):
    with pytest.raises(AppError, match=said) as error:
        client.predict(conversation, **GREEDY, api_name="/generate")
    assert "Traceback" not in str(error.value)


def test_the_app_answers_after_an_error(client: Client, clip: str, tmp_path: Path):
    text = tmp_path / "no sound.wav"
    text.write_text("this is no sound")
    with pytest.raises(AppError, match=r"no sound\.wav"):
        client.predict({"text": "", "files": [handle_file(text)]}, **GREEDY, api_name="/chat")
    assert client.predict({"text": "", "files": [handle_file(clip)]}, **GREEDY, api_name="/chat")


def test_the_log_holds_nothing_that_a_user_said(served: Served, client: Client, clip: str):
    secret = "The password is xyzzy-plugh."
    client.predict({"text": secret, "files": [handle_file(clip)]}, **GREEDY, api_name="/chat")
    with pytest.raises(AppError):
        client.predict([turn("/xyzzy-plugh", secret)], **GREEDY, api_name="/generate")
    assert "xyzzy-plugh" not in served.log
    assert "Traceback" not in served.log


def test_both_endpoints_are_documented_and_nothing_else(client: Client):
    described = client.view_api(return_format="dict")
    assert isinstance(described, dict)
    assert set(described["named_endpoints"]) == {"/batch", "/chat", "/generate"}
    assert not described["unnamed_endpoints"]


def test_mcp_serves_what_keeps_nothing_as_tools(served: Served, client: Client, clip: str):
    data = "data:audio/wav;base64," + base64.b64encode(Path(clip).read_bytes()).decode()
    conversation = [turn(data, "What is that sound?")]
    arguments: dict[str, dict[str, Any]] = {
        "batch": {"clips": [{"audio": data}], "task": "sound", **GREEDY},
        "generate": {"conversation": conversation, **GREEDY},
    }
    assert asyncio.run(tools(served.url)) == {*arguments}
    said = {tool: asyncio.run(call(served.url, tool, arguments[tool])) for tool in arguments}
    reply = client.predict(conversation, **GREEDY, api_name="/generate")
    assert said["generate"] == reply
    assert repr(reply.strip()) in said["batch"]


def test_mcp_serves_no_chat_and_its_start_warns_of_nothing(served: Served):
    with pytest.raises(AssertionError, match="Unknown tool"):
        asyncio.run(call(served.url, "chat", {"message": {"text": "Hello", "files": []}}))
    assert "gr.State" not in served.log


def test_a_wish_that_cannot_be_met_ends_the_start_in_one_sentence():
    ended = start("--model", "no such model")
    assert ended.returncode == 1
    assert "no such model" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_answers_without_loading_anything():
    assert "--checkpoint-path" in start("--help").stdout


def start(*flags: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "app.py", *flags], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_accounts_and_a_certificate_keep_others_out(tmp_path: Path):
    cert, key = make_certificate(tmp_path)
    flags = ["--auth", "ann:secret", "--ssl-certfile", cert, "--ssl-keyfile", key]
    with serving(tmp_path / "log", *flags, scheme="https", ready=False) as served:
        with httpx.Client(base_url=served.url, verify=False) as visitor:
            assert visitor.get("/config").status_code == 401
            visitor.post("/login", data={"username": "ann", "password": "wrong"})
            assert visitor.get("/config").status_code == 401
            visitor.post("/login", data={"username": "ann", "password": "secret"})
            assert visitor.get("/config").status_code == 200
        assert "secret" not in served.log


def make_certificate(folder: Path) -> tuple[str, str]:
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_a_port_that_is_taken_is_named(tmp_path: Path):
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        ended = start("--port", str(port))
    assert ended.returncode == 1
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr
