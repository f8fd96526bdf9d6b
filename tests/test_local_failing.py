"""Replies that fail, at once or in the middle, end in a sentence and leave the engine right."""

import pytest
import torch

from demo.engine import EngineError
from demo.local import LocalEngine
from tests.local_parts import CASES, GREEDY, fail_once, reply
from tests.serving import PATIENCE

pytestmark = pytest.mark.slow


def test_out_of_memory_ends_one_request_and_leaves_the_engine_right(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = reply(engine, "voice", GREEDY)
    fail_once(engine, monkeypatch, torch.OutOfMemoryError("CUDA out of memory."), times=2)
    with pytest.raises(EngineError, match="ran out of memory") as caught:
        reply(engine, "analysis", GREEDY)
    assert caught.value.__context__ is None  # nothing holds the tensors that filled the memory
    assert engine.idle.wait(PATIENCE)
    assert reply(engine, "voice", GREEDY) == expected


def test_what_is_kept_makes_room_for_the_reply_that_needs_it(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = reply(engine, "voice", GREEDY)
    assert engine.memory().conversations > 0
    fail_once(engine, monkeypatch, torch.OutOfMemoryError("CUDA out of memory."))
    assert reply(engine, "voice", GREEDY) == expected


def test_any_failure_reaches_the_reader_and_leaves_the_engine_right(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = reply(engine, "voice", GREEDY)
    fail_once(engine, monkeypatch, RuntimeError("the card fell off the bus"))
    with pytest.raises(EngineError, match="the card fell off the bus"):
        reply(engine, "analysis", GREEDY)
    assert "Traceback" in caplog.text
    assert reply(engine, "voice", GREEDY) == expected


@pytest.mark.parametrize(("error", "told"), [
    (torch.OutOfMemoryError("CUDA out of memory."), "ran out of memory"),
    (RuntimeError("the card fell off the bus"), "the card fell off the bus"),
])  # fmt: skip
def test_a_failure_in_the_middle_of_a_reply_comes_after_its_words_and_is_not_tried_again(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    expected = {case: reply(engine, case, GREEDY) for case in ("voice", "analysis")}
    fail_once(engine, monkeypatch, error, after=8)
    said = []
    with pytest.raises(EngineError, match=told) as caught:
        said.extend(engine.stream(*CASES["analysis"], GREEDY))
    words = "".join(said)
    assert words
    assert words != expected["analysis"]
    assert expected["analysis"].startswith(words)
    assert caught.value.__context__ is None
    assert engine.memory().conversations == 0  # what made the memory full is given back
    assert {case: reply(engine, case, GREEDY) for case in expected} == expected
