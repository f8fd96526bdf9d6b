"""The engine behind a server, on servers that answer well, badly and not at all."""

import base64
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import soundfile

from demo import servers
from demo.connecting import Remote, connect, key_from
from demo.conversation import from_history
from demo.engine import Answer, Budgets, Engine, Item, Options
from demo.queueing import CrowdedError
from demo.remote import RemoteEngine
from demo.remote_errors import RemoteError, host_of
from tests.openai_server import (
    MODEL,
    Act,
    Server,
    breaking_off,
    endless,
    refusing,
    resetting,
    saying,
    silent,
    talking,
)
from tests.serving import ROOT, free_port

GREEDY = Options(max_new_tokens=8, temperature=0.0)
TURNS = from_history([{"role": "user", "content": "What?"}])


def connected(*urls: str, key: str = "k", budgets: Budgets | None = None) -> Any:
    wanted = Remote("auto", urls, key, budgets or Budgets())
    return closing(connect(wanted, lambda status: None))


def said(engine: Engine, user: str = "") -> str:
    return "".join(engine.stream(TURNS, [], GREEDY, user))


def test_a_reply_comes_in_its_pieces():
    with talking(saying("You ", "said ", "“你好”.")) as server, connected(server.url) as engine:
        assert [piece for piece in engine.stream(TURNS, [], GREEDY) if piece] == [
            "You ",
            "said ",
            "“你好”.",
        ]


def test_a_server_hears_what_the_engine_here_would_and_how_it_is_to_answer():
    window = np.random.default_rng(0).normal(0, 0.1, 16_123).astype(np.float32)
    parts = [{"type": "audio", "audio_url": "a.wav"}, {"type": "text", "text": "What?"}]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    options = Options(5, 0.7, 0.5, 20, 1.1, 3)
    with talking() as server, connected(server.url) as engine:
        "".join(engine.stream(turns, [window], options))
        assert turns[1]["content"] is parts
        (body,) = server.asked
    heard, words = body["messages"][1]["content"]
    file = io.BytesIO(base64.b64decode(heard["input_audio"]["data"]))
    samples, rate = soundfile.read(file, dtype="float32")
    assert rate == 16_000
    assert np.array_equal(samples, window)
    assert words == {"type": "text", "text": "What?"}
    assert body["messages"][0] == turns[0]
    drawn = ("max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed")
    assert [body[name] for name in drawn] == [5, 0.7, 0.5, 20, 1.1, 3]


def test_options_left_open_are_the_servers_own():
    with talking() as server, connected(server.url) as engine:
        "".join(engine.stream(TURNS, [], Options()))
        assert set(server.asked[0]) == {"messages", "model", "stream"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again_before_the_first_word(status: int):
    acts = [refusing(status, "busy"), saying("At last")]
    with talking(*acts) as server, connected(server.url) as engine:
        assert said(engine) == "At last"
        assert len(server.asked) == 2


@pytest.mark.parametrize(("act", "key", "words", "tries"), [
    (refusing(401, "no"), "key", "refuses the API key", 1),
    (refusing(404, "no"), "not_served", MODEL, 1),
    (refusing(400, "This model's maximum context length is 2048 tokens."), "too_long", "2048", 1),
    (refusing(400, "At most 4 audio(s) may be provided in one prompt."), "too_many_clips", "4", 1),
    (refusing(400, "top_k must be odd"), "refused", "top_k must be odd", 1),
    (refusing(503, "busy"), "overloaded", "too much to do", servers.ATTEMPTS),
    (refusing(500, "oops"), "failed", "HTTP 500", servers.ATTEMPTS),
    (breaking_off, "broke_off", "in the middle", 1),
    (resetting, "broke_off", "in the middle", 1),
])  # fmt: skip
def test_what_went_wrong_is_one_sentence(act: Act, key: str, words: str, tries: int):
    with talking(act) as server, connected(server.url) as engine:
        with pytest.raises(RemoteError, match=words) as raised:
            said(engine)
        assert raised.value.key == key
        assert len(server.asked) == tries
        assert raised.value.say("zh") != str(raised.value)


def test_a_reply_longer_than_the_context_gets_the_room_that_is_left():
    refused = refusing(400, "max_tokens=9000 cannot be greater than max_model_len=2048.")
    with talking(refused, saying("Hello")) as server, connected(server.url) as engine:
        assert said(engine) == "Hello"
        assert ["max_tokens" in body for body in server.asked] == [True, False]


@pytest.mark.parametrize("act", [breaking_off, resetting])
def test_words_that_had_come_before_a_server_broke_off_are_not_lost(act: Act):
    with talking(act) as server, connected(server.url) as engine:
        pieces: list[str] = []
        with pytest.raises(RemoteError):
            pieces.extend(engine.stream(TURNS, [], GREEDY))
        assert "".join(pieces) == "Half of"


def test_closing_a_reply_ends_it_on_the_server():
    for act in (endless, silent):
        with talking(act) as server, connected(server.url) as engine:
            reply: Any = engine.stream(TURNS, [], GREEDY)
            next(reply)
            while not server.asked:
                next(reply)
            start = time.monotonic()
            reply.close()
            assert server.left.wait(5)
            assert time.monotonic() - start < 1


def test_closing_the_engine_ends_every_reply():
    with talking(endless) as server:
        engine: Any = connect(Remote("auto", (server.url,), "k", Budgets()), lambda status: None)
        reply = engine.stream(TURNS, [], GREEDY)
        while not next(reply):
            pass
        engine.close()
        with pytest.raises(RemoteError, match="shut down"):
            list(reply)
        with pytest.raises(RemoteError, match="shut down"):
            said(engine)
        engine.close()


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "CHECK_SECONDS", 0.1)


def asked_where(engine: Engine, replies: set[str], users: int = 12) -> set[str]:
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
            end = time.monotonic() + 10
            while "one" not in asked_where(engine, {"one", "two"}):
                assert time.monotonic() < end
                time.sleep(0.1)
        assert asked_where(engine, {"two"}) == {"two"}


def test_without_any_server_a_request_says_so():
    with talking() as server:
        context = connected(server.url)
        engine = context.__enter__()
    with pytest.raises(RemoteError, match=r"cannot be reached \(127\.0\.0\.1:\d+\)"):
        said(engine)
    context.__exit__(None, None, None)


def test_a_user_has_a_limit_of_requests_at_a_time():
    budgets = Budgets(waiting=3, each=2)
    with talking(endless) as server, connected(server.url, budgets=budgets) as engine:
        replies: list[Any] = [engine.stream(TURNS, [], GREEDY, user) for user in "aab"]
        for reply in replies:
            next(reply)
        with pytest.raises(CrowdedError, match="2 of your requests"):
            said(engine, "a")
        with pytest.raises(CrowdedError, match="3 requests already"):
            said(engine, "c")
        for reply in replies:
            reply.close()
        server.acts[:] = [saying("now")]
        assert said(engine, "a") == "now"


def test_a_batch_is_answered_many_at_once_and_a_failure_stays_its_own():
    acts = [refusing(400, "no"), *[saying("fine")] * 4]
    items = [Item(TURNS, []) for _ in range(5)] + [Item("<|AUDIO|> raw", [])]
    with talking(*acts) as server, connected(server.url) as engine:
        assert isinstance(engine, RemoteEngine)
        answers = [one for one in engine.batch(items, GREEDY) if one]
    assert sorted(one.place for one in answers) == list(range(6))
    assert sum(one.text == "fine" for one in answers) == 4
    assert {one.error.key for one in answers if one.error} == {"refused", "no_raw"}
    assert all(isinstance(one, Answer) for one in answers)


def test_a_page_waits_for_a_server_that_is_still_starting():
    port, told = free_port(), []
    wanted = Remote("auto", (f"http://127.0.0.1:{port}/v1",), "k", Budgets())
    found: list[Engine] = []
    waiting = threading.Thread(target=lambda: found.append(connect(wanted, told.append)))
    waiting.start()
    time.sleep(0.5)
    assert not found
    with talking(port=port):
        waiting.join(20)
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
def crowd() -> Iterator[Server]:
    with talking(saying("Hello")) as server:
        yield server


def test_a_front_end_imports_no_torch(crowd: Server):
    code = f"""
import sys
from demo.choosing import chosen
from demo.loading import Loading
from demo.settings import parse
from demo.audio import Ear
from demo.ui.page import build_page
settings = parse(["--engine", "openai", "--base-url", "{crowd.url}"])
choice = chosen(settings)
loading = Loading(choice.build).start()
build_page(loading, Ear(), settings, choice.notice)
print(loading.wait(20).info.model)
loading.close()
print(sorted({{"torch", "transformers"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.splitlines() == [MODEL, "[]"], run.stderr


def test_a_front_ends_requirements_are_some_of_the_apps():
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return {line for line in lines if line and not line.startswith("#")}

    assert pins("requirements-remote.txt") < pins("requirements.txt")
