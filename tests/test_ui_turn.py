"""One turn on the page, without a browser: its reply grows, waits, ends and is paced."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.audio import AudioError, Ear, Limits
from demo.engine import Options
from demo.loading import Loading
from demo.ui import history as past
from demo.ui.turn import WORDLESS_SECONDS, Desk, Reply, paced, reply, until_ready
from tests.serving import PATIENCE
from tests.sounds import tone, wav
from tests.ui_parts import Parrot


def test_a_reply_grows_and_ends_with_the_whole(clip: str):
    engine = Parrot()
    history = past.user_turn("What?", [clip])
    texts = [now.text for now in reply(history, None, Options(), Desk(Loading.of(engine), Ear()))]
    while texts[1] == "":  # the clip was still being heard
        texts.pop(0)
    assert texts == ["", "1 sounds, ", "1 sounds, ", "1 sounds, 1 turns"]
    assert engine.ended


def test_closing_a_reply_ends_the_engines_work(clip: str):
    engine = Parrot()
    replies = reply(past.user_turn("", [clip]), None, Options(), Desk(Loading.of(engine), Ear()))
    while not next(replies).text:
        pass
    replies.close()  # type: ignore[attr-defined]
    assert engine.ended


def test_a_system_prompt_is_a_turn_of_its_own(clip: str):
    desk = Desk(Loading.of(Parrot()), Ear())
    *_, last = reply(past.user_turn("", [clip]), "Be brief.", Options(), desk)
    assert last.text == "1 sounds, 2 turns"


def test_a_turn_waits_for_an_engine_that_is_on_its_way():
    gate = threading.Event()

    def load(report: Any) -> Parrot:
        gate.wait(PATIENCE)
        return Parrot()

    loading = Loading(load).start()
    waiting = until_ready(loading)
    assert next(waiting).phase != "ready"
    gate.set()
    loading.wait(PATIENCE)
    assert list(waiting) == []


def test_pacing_drops_only_what_follows_too_soon():
    fast = [Reply(str(n), ()) for n in range(1000)]
    shown = list(paced(fast, per_second=1))
    assert (shown[0].text, shown[-1].text) == ("0", "999")
    assert len(shown) < 10

    def slow() -> Iterator[Reply]:
        for one in fast[:3]:
            yield one
            time.sleep(0.03)

    assert [one.text for one in paced(slow(), per_second=50)][:3] == ["0", "1", "2"]


def test_a_note_that_there_is_no_word_yet_gives_way_to_a_word_that_comes_soon():
    soon = [Reply("", ()), Reply("", ()), Reply("first", ()), Reply("second", ())]
    assert [one.text for one in paced(soon, per_second=1)] == ["first", "second"]

    def late() -> Iterator[Reply]:
        yield Reply("", ())
        time.sleep(2 * WORDLESS_SECONDS)
        yield Reply("", (), ahead=1)
        yield Reply("first", ())

    assert [(one.text, one.ahead) for one in paced(late())][:2] == [("", 1), ("first", 0)]


def test_clips_beyond_any_context_are_not_all_taken_into_memory(tmp_path: Path):
    history = past.user_turn("", [str(tmp_path / f"{number}.wav") for number in range(7)])
    for number in range(7):
        (tmp_path / f"{number}.wav").write_bytes(wav(tone(3)))
    desk = Desk(Loading.of(Parrot()), Ear(Limits(max_minutes=0.1)))
    with pytest.raises(AudioError, match=r"longer than 0\.3 minutes together"):
        list(reply(history, None, Options(), desk))
