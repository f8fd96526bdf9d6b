"""With `--auth`, whoever has no account touches nothing, and whoever has one gets everything."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from gradio_client import Client

from demo.gate import known
from demo.guesses import MOST, SECONDS, Guesses
from tests.mcp_parts import call, tools
from tests.openai_server import talking
from tests.serving import PATIENCE, Served, serving

pytestmark = pytest.mark.slow

ACCOUNT = ("ann", "secret:with colon")
HELLO = [{"role": "user", "content": "Hello"}]
TOUCHING = [
    ("GET", "/config"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"),
    *[("GET", f"/gradio_api/{path}") for path in (
        "info", "openapi.json", "runs", "token", "app_id", "user", "heartbeat/x",
        "queue/data?session_hash=x", "queue/status", "call/generate/x", "file=/etc/hostname",
        "file/etc/hostname", "proxy=http://127.0.0.1:9/", "upload_progress?upload_id=x",
        "deep_link?session_hash=x", "stream/x/1/1/playlist.m3u8", "mcp", "mcp/", "mcp/http",
        "mcp/schema", "mcp/sse",
    )],
    *[("POST", f"/gradio_api/{path}") for path in (
        "queue/join", "run/generate", "api/generate", "call/generate", "call/v2/generate",
        "cancel", "reset", "component_server", "upload", "stream/x", "stream/x/close",
        "process_recording", "vibe-edit", "mcp", "mcp/", "mcp/http", "mcp/messages/",
        "mcp/messages/gradio_api/theme.css",
    )],
]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app with an account, before a server that says a sentence."""
    accounts = tmp_path_factory.mktemp("gate") / "accounts"
    accounts.write_text(":".join(ACCOUNT), encoding="utf-8")
    with talking() as model:
        flags = ["--engine", "openai", "--base-url", model.url, "--auth", f"@{accounts}", "--mcp"]
        with serving(accounts.with_name("log"), *flags) as app:
            yield app


@pytest.fixture(scope="module")
def login(served: Served) -> Iterator[httpx.Client]:
    """A visitor who has logged in."""
    name, password = ACCOUNT
    with httpx.Client(base_url=served.url) as visitor:
        assert visitor.post("/login", data={"username": name, "password": password}).is_success
        yield visitor


def status(visitor: httpx.Client, method: str, path: str, **more: Any) -> int:
    """Without the body, which for some never ends."""
    with visitor.stream(method, path, timeout=PATIENCE, **more) as response:
        return response.status_code


@pytest.mark.parametrize(("method", "path"), TOUCHING)
def test_nothing_can_be_touched_without_an_account(served: Served, method: str, path: str):
    with httpx.Client(base_url=served.url) as stranger:
        assert status(stranger, method, path) == 401
        assert status(stranger, method, path, auth=("ann", "wrong")) == 401
        assert status(stranger, method, path, cookies={"access-token-unsecure-x": "x"}) == 401


@pytest.mark.parametrize(("method", "path"), TOUCHING)
def test_a_login_and_basic_authentication_open_everything(
    served: Served, login: httpx.Client, method: str, path: str
):
    assert status(login, method, path) != 401
    assert status(httpx.Client(base_url=served.url, auth=ACCOUNT), method, path) != 401


def test_the_page_asks_a_stranger_to_log_in(served: Served, login: httpx.Client):
    assert '"auth_required":true' in httpx.get(served.url).text
    assert '"auth_required":true' not in login.get("/").text
    assert httpx.get(f"{served.url}/gradio_api/theme.css").is_success
    assert httpx.get(f"{served.url}/healthz").is_success


def test_only_programs_are_asked_for_basic_authentication(served: Served):
    """A browser would show its own dialogue over the page, whose login has only run out."""
    asked = {
        path: "www-authenticate" in httpx.get(f"{served.url}{path}").headers
        for path in ("/metrics", "/gradio_api/mcp/", "/gradio_api/heartbeat/x")
    }
    assert list(asked.values()) == [True, True, False]


def test_a_client_with_an_account_gets_its_reply(served: Served):
    client = Client(served.url, auth=ACCOUNT, verbose=False)
    assert client.predict(HELLO, api_name="/generate")


def test_an_upload_is_given_out_to_accounts_only(served: Served, login: httpx.Client):
    sent = login.post("/gradio_api/upload", files={"files": ("a.wav", b"sound")})
    path = f"/gradio_api/file={sent.json()[0]}"
    assert login.get(path).content == b"sound"
    assert httpx.get(f"{served.url}{path}").status_code == 401


def test_an_mcp_client_with_an_account_calls_the_tools(served: Served, login: httpx.Client):
    for credentials in ({"auth": ACCOUNT}, {"cookies": login.cookies}):
        assert asyncio.run(tools(served.url, **credentials)) == {"batch", "generate"}
        reply = asyncio.run(call(served.url, "generate", {"conversation": HELLO}, **credentials))
        assert reply == "Hello"


@pytest.mark.parametrize("coded", ["", "???", "YTpi", " "])
def test_what_is_no_accounts_authorization_is_nobodys(coded: str):
    assert known(coded, [ACCOUNT]) == ""


def test_who_guesses_at_passwords_is_slowed_down_and_others_are_not(
    served: Served, login: httpx.Client
):
    guesser, other = {"X-Forwarded-For": "203.0.113.5"}, {"X-Forwarded-For": "203.0.113.6"}

    def entered(password: str, **headers: str) -> int:
        given = {"username": ACCOUNT[0], "password": password}
        return httpx.post(f"{served.url}/login", data=given, headers=headers).status_code

    def asked(password: str, **headers: str) -> int:
        account = (ACCOUNT[0], password)
        return httpx.get(f"{served.url}/metrics", auth=account, headers=headers).status_code

    assert [entered(f"guess {n}", **guesser) for n in range(MOST // 2)] == [400] * (MOST // 2)
    assert [asked(f"guess {n}", **guesser) for n in range(MOST // 2)] == [401] * (MOST // 2)
    assert (entered(ACCOUNT[1], **guesser), asked(ACCOUNT[1], **guesser)) == (400, 429)
    assert (entered(ACCOUNT[1], **other), asked(ACCOUNT[1], **other)) == (200, 200)
    proxys = {**guesser, "Authorization": "Basic b3RoZXI6b3RoZXI="}
    assert login.get("/config", headers=proxys).status_code == 200


def test_guesses_at_the_same_time_are_counted_too(served: Served):
    async def entered(client: httpx.AsyncClient, number: int) -> bool:
        async def slowly() -> AsyncIterator[bytes]:
            await asyncio.sleep(1)
            yield f"username={ACCOUNT[0]}&password=guess{number}".encode()

        headers = {"Content-Type": "application/x-www-form-urlencoded",
                   "X-Forwarded-For": "203.0.113.9"}  # fmt: skip
        answer = await client.post("/login", content=slowly(), headers=headers)
        return "network address" in answer.text

    async def all_at_once() -> list[bool]:
        async with httpx.AsyncClient(base_url=served.url, timeout=PATIENCE) as client:
            return await asyncio.gather(*(entered(client, number) for number in range(MOST + 5)))

    assert sum(asyncio.run(all_at_once())) == 5


def test_guesses_are_forgotten_after_a_minute():
    now = 0.0
    guesses = Guesses(clock=lambda: now)
    for number in range(MOST):
        assert not guesses.are_spent("a")
        for house in ("a", ""):
            guesses.wrong(house, number)
        guesses.wrong("b", "always the same")
    guesses.right("a", 3)
    assert not guesses.are_spent("a")
    guesses.wrong("a", 3)
    assert guesses.are_spent("a")
    assert not guesses.are_spent("b")
    assert not guesses.are_spent("")
    now = SECONDS - 1
    for number in range(MOST):
        guesses.wrong("c", number)
    assert guesses.are_spent("a")
    now = SECONDS
    assert not guesses.are_spent("a")
    assert guesses.are_spent("c")  # its minute has just begun
