"""The engine behind a server, on servers that answer well, badly and not at all."""

import base64
import io
import time
from typing import Any

import numpy as np
import pytest
import soundfile

from demo import servers
from demo.connecting import connect
from demo.engine import Answer, Budgets, Engine, Item, Options
from demo.queueing import CrowdedError
from demo.remote import RemoteEngine
from demo.remote_errors import RemoteError
from demo.wanted import Remote
from tests.openai_server import (
    MODEL,
    Act,
    Server,
    breaking_off,
    endless,
    refusing,
    resetting,
    saying,
    saying_nothing,
    silent,
    talking,
)
from tests.remote_parts import GREEDY, TURNS, connected, said
from tests.serving import PATIENCE

pytestmark = pytest.mark.slow


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
    (saying_nothing, "unreachable", "cannot be reached", servers.ATTEMPTS),
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


def test_a_key_that_a_server_says_back_is_not_passed_on():
    act = refusing(400, "sesame-key may not ask that")
    with talking(act) as server, connected(server.url, key="sesame-key") as engine:
        with pytest.raises(RemoteError, match="may not ask that") as raised:
            said(engine)
        assert "sesame" not in str(raised.value)


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


def seconds_to_close(engine: Engine, server: Server) -> float:
    """How long the server goes on with a reply that is closed."""
    server.asked.clear()
    server.left.clear()
    reply: Any = engine.stream(TURNS, [], GREEDY)
    next(reply)
    while not server.asked:
        next(reply)
    start = time.monotonic()
    reply.close()
    assert server.left.wait(PATIENCE)
    return time.monotonic() - start


def test_closing_a_reply_ends_it_on_the_server():
    for act in (endless, silent):
        with talking(act) as server, connected(server.url) as engine:
            assert min(seconds_to_close(engine, server) for _ in range(3)) < 1


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


def test_a_user_has_a_limit_of_requests_at_a_time():
    budgets = Budgets(waiting=2, each=2)
    with talking(endless) as server, connected(server.url, budgets=budgets) as engine:
        replies: list[Any] = [engine.stream(TURNS, [], GREEDY, user) for user in "aab"]
        for reply in replies:
            next(reply)
        with pytest.raises(CrowdedError, match="2 of your requests"):
            said(engine, "a")
        with pytest.raises(CrowdedError, match="2 requests already"):
            said(engine, "c")
        for reply in replies:
            reply.close()
        server.acts[:] = [saying("now")]
        assert said(engine, "a") == "now"


def test_audio_that_is_longer_than_the_context_is_not_even_sent():
    parts = [{"type": "audio", "audio_url": "a.wav"}] * 3
    long = [np.zeros(30 * 16_000, np.float32)] * 3  # 2250 tokens of 2048
    with talking() as server, connected(server.url) as engine:
        turns: Any = [{"role": "user", "content": parts}]
        with pytest.raises(RemoteError, match="takes 2048 tokens"):
            list(engine.stream(turns, long, GREEDY))
        (answer,) = [one for one in engine.batch([Item(turns, long)], GREEDY) if one]
        assert answer.error
        assert answer.error.key == "too_long"
        assert not server.asked
        turns[0]["content"] = parts[:2]
        assert "".join(engine.stream(turns, long[:2], GREEDY)) == "Hello"


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


def test_a_batch_that_is_cut_off_by_the_end_of_the_app_says_so():
    """It ended as if it were whole, with rows missing."""
    with talking(saying("fine"), endless) as server, connected(server.url) as engine:
        answers: list[Answer] = []

        def take() -> None:
            for answer in engine.batch([Item(TURNS, []) for _ in range(3)], GREEDY, size=1):
                if answer:
                    answers.append(answer)
                elif answers and len(server.asked) > 1:
                    engine.close()

        with pytest.raises(RemoteError, match="shut down"):
            take()
    assert [one.text for one in answers if not one.error] == ["fine"]
