import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from demo.engine import Conversation, EngineError, EngineInfo, Load, Options
from demo.loading import SENTENCES, Loading, LoadingError, Report, Status
from demo.messages import Message
from tests.serving import PATIENCE


class Echo:
    """An engine without a model."""

    info = EngineInfo("echo", "cpu", "float32", 64, True, Options())

    def __init__(self) -> None:
        self.closed = False

    def stream(
        self,
        conversation: Conversation,
        windows: Sequence[np.ndarray],
        options: Options,
        user: str = "",
    ) -> Iterator[str]:
        yield "echo"

    def prepare(self, conversation: Any, windows: Any) -> None: ...

    def memory(self) -> None: ...

    def load(self) -> Load:
        return Load(0, 0)

    def close(self) -> None:
        self.closed = True


def at(phase: Any, fraction: float | None, model: str = "x") -> Status:
    return Status(
        phase, fraction, Message(SENTENCES, "ready", model=model, device="cpu", dtype="float32")
    )


def test_status_follows_the_reports_until_the_engine_is_ready() -> None:
    go_on, reported = threading.Event(), threading.Event()

    def load(report: Report) -> Echo:
        report(at("download", 0.25))
        reported.set()
        assert go_on.wait(PATIENCE)
        return Echo()

    loading = Loading(load)
    assert loading.status().phase == "load"
    loading.start()
    assert reported.wait(PATIENCE)
    assert (loading.status().phase, loading.status().fraction) == ("download", 0.25)
    with pytest.raises(EngineError, match="not ready yet"):
        loading.wait(timeout=0.01)
    go_on.set()
    engine = loading.wait(PATIENCE)
    assert isinstance(engine, Echo)
    assert loading.status().phase == "ready"
    assert str(loading.status().text) == "echo is ready, on cpu in float32."
    loading.close()
    assert engine.closed


def test_what_is_still_loading_is_told_in_the_readers_language() -> None:
    error = LoadingError("still_loading", state=Message(SENTENCES, "starting"))
    assert str(error) == "The model is not ready yet: Starting … Please try again in a moment."
    assert error.say("zh") == "模型尚未就绪：正在启动…… 请稍后再试。"


def test_a_failed_loading_gives_its_sentence_to_everyone_who_waits() -> None:
    def load(report: Report) -> Echo:
        raise LoadingError("still_loading", state="no network.")

    loading = Loading(load).start()
    for _ in range(2):
        with pytest.raises(EngineError, match="no network"):
            loading.wait(PATIENCE)
    assert loading.status().phase == "failed"
    assert "no network" in str(loading.status().text)
    loading.close()


def test_an_unforeseen_failure_is_a_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    def load(report: Report) -> Echo:
        raise ZeroDivisionError("oh")

    loading = Loading(load).start()
    with pytest.raises(EngineError, match="ZeroDivisionError: oh"):
        loading.wait(PATIENCE)
    assert loading.status().phase == "failed"
    assert "Traceback" in capsys.readouterr().err


def test_an_engine_at_hand_is_ready_at_once() -> None:
    engine = Echo()
    assert Loading.of(engine).wait(0) is engine


def test_the_terminal_gets_a_line_at_a_time_not_one_for_each_block(
    capsys: pytest.CaptureFixture[str],
) -> None:
    loading = Loading(lambda report: Echo())
    for percent in range(101):
        loading.report(at("download", percent / 100, f"{percent}%"))
    loading.report(at("load", None))
    loading.report(at("load", None))
    lines = capsys.readouterr().err.splitlines()
    assert 15 <= len(lines) <= 23
    assert lines[0].startswith("0%")
    assert lines[-2].startswith("100%")
    assert lines[-1].startswith("x is")


def test_every_sentence_is_in_both_languages_with_the_same_values() -> None:
    from demo import (
        adapter,
        checkpoint,
        connecting,
        decoding,
        hub,
        loading,
        opening,
        queueing,
        refusals,
        remote_errors,
        turns,
        wanted,
    )
    from demo.batch import rules
    from demo.hearing import sandbox

    rooms = (checkpoint, connecting, decoding, hub, loading, opening, queueing, refusals)
    for room in (*rooms, adapter, remote_errors, rules, sandbox, turns, wanted):
        for english, chinese in room.SENTENCES.values():
            values = [set(re.findall(r"(?<!{){(\w+)", text)) for text in (english, chinese)]
            assert values[0] == values[1], english
            assert re.search(r"[\u4e00-\u9fff]", chinese)
