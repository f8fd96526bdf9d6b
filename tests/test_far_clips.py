"""A turn whose clip is far away, or whose engine is not there: it ends when nobody waits for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from demo.audio import Ear, Limits
from demo.batch.rows import Row
from demo.batch.work import hearing
from demo.connecting import connect
from demo.engine import Budgets, Options
from demo.hands import Hands
from demo.loading import Loading, LoadingError
from demo.places import Places
from demo.queueing import CrowdedError
from demo.settings import Settings
from demo.ui.kit import UNLOADED_SECONDS, UNREACHED_SECONDS, Kit
from demo.ui.turn import Desk, Reply, answer
from demo.wanted import Remote
from demo.watching import Watch
from tests.inputs import OPEN
from tests.serving import until
from tests.ui_parts import Parrot
from tests.web import SOON, serving


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


def asked(url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "audio", "audio_url": url}]}]


def desk(user: str = "", **given: Any) -> Desk:
    ear = Ear(Limits(allow_private_urls=True))
    return Desk(**{"loading": Loading.of(Parrot()), "ear": ear, "user": user, **given})


def last(replies: Iterator[Reply]) -> str:
    return [reply.text for reply in replies][-1]


def fetching() -> bool:
    return busy("hands")


def busy(name: str) -> bool:
    """Whether there is a thread of that name, or one whose name begins with it."""
    return any(thread.name.startswith(name) for thread in threading.enumerate())


@pytest.mark.parametrize("page", ["dripping", "dripping_head", "stalled"])
def test_closing_a_turn_ends_its_download(server: str, page: str):
    with closing(answer(asked(f"{server}/{page}.wav"), Options(), desk())) as replies:
        assert [next(replies).text, next(replies).text] == ["", ""]
        assert fetching()
        start = time.monotonic()
    assert time.monotonic() - start < SOON
    until(lambda: not fetching(), SOON)


def test_closing_a_batch_ends_its_downloads_and_says_nothing(
    server: str, caplog: pytest.LogCaptureFixture
):
    rows = {place: Row(f"{server}/dripping.wav", "What is that?") for place in range(2)}
    with closing(hearing(rows, Ear(Limits(allow_private_urls=True)), Hands())) as coming:
        assert [next(coming), next(coming)] == [None, None]
        assert fetching()
    until(lambda: not fetching(), SOON)
    assert not caplog.records


def test_the_limits_hold_for_what_is_still_being_downloaded(server: str):
    places, hands = Places(most=3, each=2), Hands()
    watch = Watch(places=places)
    with ExitStack() as stack:
        for user in "aab":
            slow = answer(asked(f"{server}/dripping.wav"), Options(), desk(user, watch=watch))
            next(stack.enter_context(closing(slow)))
        for user, words in (("a", "2 of your requests"), ("c", "3 requests already")):
            refused = answer(asked("no.wav"), Options(), desk(user, watch=watch, hands=hands))
            with pytest.raises(CrowdedError, match=words):
                next(refused)
        assert places.total == 3
    hello = [{"role": "user", "content": "hello"}]
    assert last(answer(hello, Options(), desk("a", watch=watch))) == "0 sounds, 1 turns"


def test_a_slow_clip_is_heard_in_the_end(server: str):
    ear = Ear(OPEN)
    assert last(answer(asked(f"{server}/tone.wav"), Options(), desk(ear=ear))).startswith("1 sound")


# A turn whose engine is not there.


def test_a_program_is_told_that_the_server_is_not_reached():
    wanted = Remote("auto", ("http://127.0.0.1:9/v1",), "k", Budgets())
    loading = Loading(lambda report: connect(wanted, report)).start()
    replies = answer(asked("a.wav"), Options(), desk(loading=loading, patience=0.5))
    first = next(replies)
    assert first.text == ""
    assert first.loading is not None
    with pytest.raises(LoadingError, match=r"not ready yet: Waiting for .* 127\.0\.0\.1:9"):
        list(replies)


def test_a_program_waits_longer_for_weights_than_for_a_server():
    def patience(*servers: str) -> float:
        settings = Settings(engine="openai", base_url=servers) if servers else Settings()
        return Kit(
            Loading.of(Parrot()), Ear(), settings, Loading.of(Parrot()).status().text
        ).patience

    assert patience("http://127.0.0.1:9/v1") == UNREACHED_SECONDS
    assert patience() == UNLOADED_SECONDS
