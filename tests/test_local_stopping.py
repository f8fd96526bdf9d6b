"""Replies that are stopped, or are made in a forked process leave the engine right."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from demo.checkpoint import choose, load
from demo.conversation import from_history
from demo.engine import EngineError, Options
from demo.local import LocalEngine
from demo.zerogpu import ForkingEngine
from tests.local_parts import CASES, GREEDY, fail_once, reply, started, user

pytestmark = pytest.mark.slow

ENDLESS = Options(max_new_tokens=4000, temperature=0, repetition_penalty=1.0)
SAFE_SECONDS = 20.0  # far above what is waited for; a whole reply takes longer than that
STOP_SECONDS = 3.0  # a few steps, on a machine with other work


@pytest.fixture
def endless(engine: LocalEngine) -> Iterator[Options]:
    """Options under which no reply ends by itself within a test."""
    ends, engine._base.eos_token_id = engine._base.eos_token_id, None
    yield ENDLESS
    engine._base.eos_token_id = ends


def test_closing_a_reply_frees_the_engine(engine: LocalEngine, endless: Options) -> None:
    pieces = started(engine, "voice", endless)
    assert not engine.idle.is_set()
    pieces.close()  # type: ignore[attr-defined]
    begun = time.monotonic()
    assert engine.idle.wait(SAFE_SECONDS)
    assert time.monotonic() - begun < STOP_SECONDS


def test_closing_a_reply_ends_its_prefill_between_two_layers(engine: LocalEngine) -> None:
    entered, go_on = threading.Event(), threading.Event()
    reached = []

    def hold(module: Any, args: Any) -> None:
        entered.set()
        go_on.wait(SAFE_SECONDS)

    layers = engine._model.model.language_model.layers
    hooks = [
        layers[0].register_forward_pre_hook(hold),
        layers[-1].register_forward_hook(lambda *_: reached.append(1)),
    ]
    pieces = engine.stream(*CASES["windows of a long clip"], GREEDY)
    assert next(pieces) == ""  # the engine works; the reader is not held
    assert entered.wait(SAFE_SECONDS)
    pieces.close()  # type: ignore[attr-defined]
    go_on.set()
    assert engine.idle.wait(SAFE_SECONDS)
    for hook in hooks:
        hook.remove()
    assert not reached


def test_a_reply_that_is_closed_while_it_waits_is_never_made(
    engine: LocalEngine, endless: Options
) -> None:
    expected = reply(engine, "voice", GREEDY)
    first = started(engine, "voice", endless)
    second = engine.stream(*CASES["analysis"], endless)
    assert next(second) == ""
    second.close()  # type: ignore[attr-defined]
    assert next(first) is not None
    first.close()  # type: ignore[attr-defined]
    assert engine.idle.wait(SAFE_SECONDS)
    assert reply(engine, "voice", GREEDY) == expected


def test_a_reader_that_is_dropped_ends_its_reply(engine: LocalEngine, endless: Options) -> None:
    pieces = started(engine, "voice", endless)
    del pieces
    assert engine.idle.wait(SAFE_SECONDS)


def test_requests_at_the_same_time_each_get_their_own_reply(engine: LocalEngine) -> None:
    cases = ("analysis", "text only", "text first")
    expected = {case: reply(engine, case, GREEDY) for case in cases}
    got: dict[str, str] = {}

    def ask(case: str) -> None:
        got[case] = reply(engine, case, GREEDY)

    threads = [threading.Thread(target=ask, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SAFE_SECONDS * 3)
    assert got == expected


def test_a_reply_ends_where_the_context_does(engine: LocalEngine, endless: Options) -> None:
    words = "a b " * 4070
    request = engine._request(from_history([user(words)]), [], endless)
    room = engine.info.context_tokens - len(request.prompt.ids)
    assert 0 < room < 200
    assert request.config.max_new_tokens == room


def test_a_closed_engine_ends_its_replies_and_refuses_new_ones() -> None:
    engine = load(choose("preview", device="cpu"), lambda status: None)
    assert isinstance(engine, LocalEngine)
    engine._base.eos_token_id = None
    running = started(engine, "voice", ENDLESS)
    waiting = engine.stream(*CASES["analysis"], GREEDY)
    assert next(waiting) == ""
    engine.close()
    for pieces in (running, waiting, engine.stream(*CASES["voice"], GREEDY)):
        with pytest.raises(EngineError, match="shut down"):
            list(pieces)
    engine.close()  # twice is once


def plain(make: Any) -> Any:
    """What ZeroGPU's decorator is anywhere else: nothing."""
    return make


def test_replies_for_zerogpu_are_the_same(engine: LocalEngine) -> None:
    forking = ForkingEngine(engine, plain)
    for case in ("voice", "two clips"):
        assert reply(forking, case, GREEDY) == reply(engine, case, GREEDY)
    with pytest.raises(EngineError) as caught:
        reply(forking, "voice", Options(top_p=3))
    assert caught.value.key == "top_p"


def forked(make: Any) -> Any:
    """What ZeroGPU's decorator does: the generator runs in a forked process, what it yields
    comes back pickled, and closing it there is all that can be told it."""
    context = multiprocessing.get_context("fork")

    def work(there: Any, args: Any) -> None:
        pieces = make(*args)
        for piece in pieces:
            there.send(piece)
            if there.poll():
                pieces.close()
                break
        there.send(None)

    def generator(*args: Any) -> Iterator[Any]:
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, args), daemon=True)
        process.start()
        try:
            while (piece := here.recv()) is not None:
                yield piece
        finally:
            here.send("close")
            process.join(SAFE_SECONDS)
            assert process.exitcode == 0

    return generator


def test_a_reply_made_in_a_forked_process_is_the_same(engine: LocalEngine) -> None:
    expected = reply(engine, "voice", GREEDY)
    assert reply(ForkingEngine(engine, forked), "voice", GREEDY) == expected


def test_an_error_in_a_forked_process_comes_back_with_its_sentence(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(engine, monkeypatch, torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(EngineError, match="ran out of memory"):
        reply(ForkingEngine(engine, forked), "voice", GREEDY)


def test_closing_a_reply_ends_the_forked_process(engine: LocalEngine, endless: Options) -> None:
    pieces = started(ForkingEngine(engine, forked), "voice", endless)
    pieces.close()  # type: ignore[attr-defined]  # `forked` asserts that its process ended
