"""Which servers an engine asks: several, late ones and none; with which name and which key."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest

from demo import servers
from demo.connecting import connect
from demo.engine import Budgets, Engine
from demo.loading import Status
from demo.remote_errors import RemoteError
from demo.servers import Server, Servers
from demo.wanted import Remote, host_of, key_from
from tests.openai_server import MODEL, refusing, saying, talking
from tests.openai_server import Server as Talking
from tests.remote_parts import connected, said
from tests.serving import PATIENCE, ROOT, free_port, until

pytestmark = pytest.mark.slow


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "CHECK_SECONDS", 0.1)


def asked_where(engine: Engine, replies: set[str], users: int = 40) -> set[str]:
    """Which servers answer users, by what they say."""
    found = {said(engine, f"user {number}") for number in range(users)}
    assert found <= replies
    return found


def test_users_are_spread_over_servers_and_stay_with_theirs():
    with (
        talking(saying("one")) as one,
        talking(saying("two")) as two,
        connected(one.url, two.url) as engine,
    ):
        assert asked_where(engine, {"one", "two"}) == {"one", "two"}
        assert len({said(engine, "somebody") for _ in range(6)}) == 1


def test_another_server_takes_over_until_the_first_is_back(quick_checks: None):
    port = free_port()
    first = f"http://127.0.0.1:{port}/v1"
    with talking(saying("two")) as two, connected(two.url, first) as engine:
        assert asked_where(engine, {"two"}) == {"two"}
        with talking(saying("one"), port=port):
            until(lambda: "one" in asked_where(engine, {"one", "two"}))
        assert asked_where(engine, {"two"}) == {"two"}


@pytest.mark.parametrize("count", [3, 4, 8])
def test_each_of_several_servers_has_its_share_of_the_users(count: int):
    """CRC, which is linear, gave half of the users to one of three, always."""
    names = [f"http://gpu{number}:8000/v1" for number in range(1, count + 1)]
    several = Servers([Server(name, cast("Any", None)) for name in names])
    first = Counter(next(several.for_(f"user {user}")).url for user in range(2000))
    assert all(0.8 < first[name] * count / 2000 < 1.2 for name in names)


def test_a_page_of_a_proxy_is_no_list_of_models(quick_checks: None):
    """The checks ended for good at it, and with them the way back."""
    with talking(saying("one")) as server, connected(server.url) as engine:
        server.page = b"<html>We are back soon.</html>"
        until(lambda: not engine.load().up)
        server.page = b""
        until(lambda: engine.load().up)
        assert said(engine) == "one"


def test_a_page_of_a_proxy_is_waited_out_at_the_start():
    with talking(saying("one")) as server:
        server.page = b"<html>We are back soon.</html>"
        threading.Timer(1, lambda: setattr(server, "page", b"")).start()
        with connected(server.url) as engine:
            assert said(engine) == "one"


@pytest.mark.parametrize("answer", [(401, "wrong key"), (404, "no such model")])
def test_a_server_that_is_set_up_wrongly_is_passed_over(answer: tuple[int, str]):
    with (
        talking(refusing(*answer)) as wrong,
        talking(saying("one")) as right,
        connected(wrong.url, right.url) as engine,
    ):
        found = engine._servers.for_
        misled = next(user for user in map(str, range(1000)) if next(found(user)).url == wrong.url)
        assert said(engine, misled) == "one"
        assert wrong.asked


def test_the_start_passes_over_a_server_that_refuses_the_key():
    with talking(key="another") as wrong, talking(saying("one")) as right:
        with connected(wrong.url, right.url) as engine:
            assert engine.info.model == MODEL
        wanted = Remote("auto", (wrong.url, wrong.url), "k", Budgets())
        with pytest.raises(RemoteError, match="refuses the API key"):
            connect(wanted, lambda status: None)


def test_without_any_server_a_request_says_so():
    with talking() as server:
        context = connected(server.url)
        engine = context.__enter__()
    with pytest.raises(RemoteError, match=r"cannot be reached \(127\.0\.0\.1:\d+\)"):
        said(engine)
    context.__exit__(None, None, None)


def test_a_page_waits_for_a_server_that_is_still_starting():
    port, told, asking = free_port(), [], threading.Event()
    wanted = Remote("auto", (f"http://127.0.0.1:{port}/v1",), "k", Budgets())
    found: list[Engine] = []

    def tell(status: Status) -> None:
        told.append(status)
        asking.set()

    waiting = threading.Thread(target=lambda: found.append(connect(wanted, tell)))
    waiting.start()
    assert asking.wait(PATIENCE)
    time.sleep(0.5)  # so that it was asked in vain
    assert not found
    with talking(port=port):
        waiting.join(PATIENCE)
        (engine,) = found
        assert engine.info.model == MODEL
        assert engine.info.context_tokens == 2048
        engine.close()
    assert "Waiting for the model's server" in str(told[0].text)


def test_a_model_that_is_not_served_is_told_with_those_that_are():
    with talking() as server:
        wanted = Remote("other", (server.url,), "k", Budgets())
        with pytest.raises(RemoteError, match=rf"does not serve other; it serves {MODEL}"):
            connect(wanted, lambda status: None)


def test_a_wrong_key_is_told_without_the_key():
    with talking(key="right") as server:
        with pytest.raises(RemoteError, match="refuses the API key") as raised:
            connect(Remote("auto", (server.url,), "very-secret", Budgets()), lambda status: None)
        assert "very-secret" not in str(raised.value)
        with connected(server.url, key="right") as engine:
            assert said(engine) == "Hello"


def test_the_key_comes_from_the_environment():
    assert key_from("KEY", {"KEY": "abc"}) == "abc"
    assert key_from("KEY", {}) == "none"


@pytest.mark.parametrize(("url", "host"), [
    ("http://gpu1:8000/v1", "gpu1:8000"), ("https://me:secret@gpu.example/v1", "gpu.example"),
])  # fmt: skip
def test_visitors_see_a_servers_host_only(url: str, host: str):
    assert host_of(url) == host


@pytest.fixture
def crowd() -> Iterator[Talking]:
    with talking(saying("Hello")) as server:
        yield server


def test_a_front_end_imports_no_torch_and_opens_its_page_without_the_client(crowd: Talking):
    code = f"""
import sys
from demo.choosing import chosen
from demo.loading import Loading
from demo.settings import parse
from demo.audio import Ear
from demo.ui.page import build_page
settings = parse(["--engine", "openai", "--base-url", "{crowd.url}"])
choice = chosen(settings)
loading = Loading(choice.build)
build_page(loading, Ear(), settings, choice.notice)
heavy = {{"torch", "transformers", "librosa", "numba", "scipy", "openai"}}
print(sorted(heavy & set(sys.modules)))
loading.start()
print(loading.wait({PATIENCE}).info.model)
loading.close()
print(sorted({{"torch", "transformers"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.splitlines() == ["[]", MODEL, "[]"], run.stderr


def test_a_front_ends_requirements_are_some_of_the_apps():
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return {line for line in lines if line and not line.startswith("#")}

    assert pins("requirements-remote.txt") < pins("requirements.txt")
