"""Sessions cost nothing: what comes from one address takes turns, and leaves room for others."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client
from starlette.types import Message, Receive, Scope, Send

from demo.exposure import HOSTED
from demo.forwarding import LOCAL, PRIVATE, TRUSTED, Forwarded, trust_proxies
from demo.ledger import DAY_SECONDS, Ledger
from demo.users import house_of, user
from tests.crowd_parts import HELLO, about, join, numbers, until_number
from tests.crowd_parts import model as model
from tests.crowd_parts import web as web
from tests.mcp_parts import call
from tests.openai_server import Server
from tests.serving import Served
from tests.serving import serving as app_serving
from tests.test_hosting import number

pytestmark = pytest.mark.slow

GREEDY, OTHER = "203.0.113.5", "203.0.113.6"

# Names.


@pytest.mark.parametrize(("login", "session", "address", "name", "house"), [
    ("", "", "", "", ""),
    ("", "s1", "", "s1", "s1"),
    ("", "s1", "127.0.0.1", "s1", "s1"),  # the host, or a proxy that tells no address
    ("", "s1", "::ffff:127.0.0.1", "s1", "s1"),
    ("", "s1", "no address", "s1", "s1"),
    ("", "s1", GREEDY, f"{GREEDY}/s1", GREEDY),
    ("", "", GREEDY, f"{GREEDY}/", GREEDY),
    ("", GREEDY, "", "203%2E0%2E113%2E5", "203%2E0%2E113%2E5"),
    ("", "s1", f"::ffff:{GREEDY}", f"{GREEDY}/s1", GREEDY),
    ("", "a/b", GREEDY, f"{GREEDY}/a%2Fb", GREEDY),
    ("", "a/b", "", "a%2Fb", "a%2Fb"),
    ("", "s1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/s1", "2001:db8:1:2::"),
    ("me", "s1", GREEDY, "me", "me"),
    ("a/b", "s1", GREEDY, "a%2Fb", "a%2Fb"),
])  # fmt: skip
def test_a_user_without_a_login_lives_at_an_address(
    login: str, session: str, address: str, name: str, house: str
):
    found = user(login, session, address)
    assert found == name
    assert house_of(found) == house


@pytest.mark.parametrize(("environ", "host", "trusted"), [
    ({}, None, LOCAL),
    ({}, "0.0.0.0", LOCAL),
    ({}, "192.168.1.5", f"{LOCAL},192.168.1.5"),
    ({TRUSTED: "10.1.2.3"}, None, f"{LOCAL},10.1.2.3"),
    ({TRUSTED: "*"}, None, "*"),
    ({HOSTED[0]: "me/mine"}, None, f"{LOCAL},{PRIVATE}"),
    ({HOSTED[1]: "1", TRUSTED: "10.1.2.3"}, None, f"{LOCAL},10.1.2.3"),
])  # fmt: skip
def test_proxies_are_trusted_that_are_here_or_named(
    environ: dict[str, str], host: str | None, trusted: str
):
    trust_proxies(environ, host)
    assert environ[TRUSTED] == trusted


def forwarded(address: str, *told: str) -> list[tuple[bytes, bytes]]:
    """The headers with which the app sees a request."""
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(scope["headers"])

    async def nothing() -> Message:
        return {}

    async def ignored(message: Message) -> None: ...

    headers = [*[(b"X-Forwarded-For", one.encode()) for one in told], (b"a", b"b")]
    scope = {"type": "http", "client": (address, 1), "headers": headers}
    asyncio.run(Forwarded(app)(scope, nothing, ignored))
    return seen


def test_nobody_names_another_address_than_was_found(caplog: pytest.LogCaptureFixture):
    found = [(b"a", b"b"), (b"x-forwarded-for", GREEDY.encode())]
    assert forwarded(GREEDY, "1.2.3.4", "5.6.7.8") == found
    assert forwarded(GREEDY, f"1.2.3.4, {GREEDY}") == found
    assert forwarded(GREEDY) == found
    assert forwarded("192.168.1.7", "192.168.1.7")
    assert not caplog.records


def test_a_host_learns_of_a_proxy_that_is_not_trusted(caplog: pytest.LogCaptureFixture):
    forwarded("172.17.0.1", "203.0.113.5")
    (record,) = caplog.records
    assert "proxy at 172.17.0.1" in record.getMessage()
    assert TRUSTED in record.getMessage()


def test_a_house_may_upload_half_of_the_room_in_a_day():
    now = 0.0
    ledger = Ledger(200, clock=lambda: now)
    assert ledger.has_room("a", 60)
    assert ledger.has_room("a", 40)
    assert not ledger.has_room("a", 1)
    assert ledger.has_room("b", 100)
    assert all(ledger.has_room("", 1000) for _ in range(3))
    now = DAY_SECONDS
    assert not ledger.has_room("a", 1)
    now = 1.5 * DAY_SECONDS
    assert ledger.has_room("b", 50)
    assert not ledger.has_room("b", 1)
    now = 4 * DAY_SECONDS
    assert ledger.has_room("b", 100)


# A running app.


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, model: Server) -> Iterator[Served]:
    flags = ["--engine", "openai", "--base-url", model.url, "--allow-private-urls", "--mcp"]
    small = ["--max-waiting", "8", "--max-uploads-gb", "0.0004", "--grace-seconds", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TRUSTED, "10.0.0.5")  # a proxy elsewhere, beside what is trusted always
        folder = tmp_path_factory.mktemp("houses")
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))  # of others' it would clear away
        with app_serving(folder / "log", *flags, *small) as app:
            yield app


def test_many_sessions_of_one_address_leave_places_for_others(app: Served, web: str):
    for number_ in range(12):
        join(app, about(f"{web}/dripping.wav"), 1, f"s{number_}", GREEDY)
    until_number(app, 'demo_requests_total{outcome="near"}', 7)
    assert number(numbers(app), "demo_waiting") == 5
    conversation = {"conversation": HELLO}
    with pytest.raises(AssertionError, match=r"from your network address under way \(5\)"):
        asyncio.run(call(app.url, "generate", conversation, headers={"X-Forwarded-For": GREEDY}))
    for _ in range(5):
        other = Client(app.url, verbose=False, headers={"X-Forwarded-For": OTHER})
        assert other.predict(HELLO, api_name="/generate") == "I hear it."
    assert number(numbers(app), "demo_waiting") == 5  # still: a download may take a minute


def test_what_one_address_uploads_leaves_room_for_others(app: Served):
    def uploaded(address: str, megabytes: float) -> httpx.Response:
        files = {"files": ("clip.wav", bytes(int(megabytes * 10**6)))}
        headers = {"X-Forwarded-For": address, "Accept-Language": "en"}
        return httpx.post(f"{app.url}/gradio_api/upload", files=files, headers=headers)

    assert uploaded(GREEDY, 0.12).status_code == 200
    refused = uploaded(GREEDY, 0.12)
    assert refused.status_code == 507
    assert "from your network address within a day" in refused.text
    assert uploaded(OTHER, 0.12).status_code == 200
    assert "Traceback" not in app.log
