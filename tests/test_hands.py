"""Places and hands: one user's slow clips neither pass the limits nor hold up anybody else."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, closing
from threading import Event
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
from tests.ui_parts import Parrot
from tests.web import serving

SAFE_SECONDS = 20

# Places.


def test_a_place_is_one_users_until_it_is_left():
    places = Places(most=3, each=2)
    with ExitStack() as stack:
        for user in "aab":
            stack.enter_context(places.taken(user))
        for user, words in (("a", "2 of your requests"), ("c", "3 requests already")):
            with pytest.raises(CrowdedError, match=words):
                stack.enter_context(places.taken(user))
        assert places.total == 3
    assert places.total == 0


def test_the_one_that_is_answered_takes_nobodys_place_in_line():
    places = Places(most=1, each=8, beside=1)
    with ExitStack() as stack:
        for user in "ab":
            stack.enter_context(places.taken(user))
        with pytest.raises(CrowdedError, match="1 requests already"):
            stack.enter_context(places.taken("c"))


def test_one_address_has_as_many_places_as_it_leaves_free():
    places = Places(most=8, each=2)
    with ExitStack() as stack:
        for number in range(4):
            stack.enter_context(places.taken(f"near/{number}"))
        for user in ("near/4", "near/0"):
            with pytest.raises(CrowdedError, match=r"your network address under way \(4\)"):
                stack.enter_context(places.taken(user))
        for number in range(2):
            stack.enter_context(places.taken(f"far/{number}"))
        with pytest.raises(CrowdedError, match=r"for others \(2\)"):
            stack.enter_context(places.taken("far/2"))
        for user in ("a", "b"):  # who has none finds one to the last
            stack.enter_context(places.taken(user))


# Hands.


def test_a_thread_that_cannot_be_had_is_told_and_does_not_count(monkeypatch: pytest.MonkeyPatch):
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    hands = Hands(threads=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        with hands.doing(lambda stop: 1, "a") as first, pytest.raises(RuntimeError, match="start"):
            first.result(timeout=SAFE_SECONDS)
    with hands.doing(lambda stop: 2, "b") as second:
        assert second.result(timeout=SAFE_SECONDS) == 2


def until_stopped(stop: Event) -> str:
    assert stop.wait(SAFE_SECONDS)
    return "stopped"


def test_what_is_done_is_had_and_what_goes_wrong_is_raised():
    hands = Hands()
    with hands.doing(lambda stop: 7) as done, hands.doing(lambda stop: {}["x"]) as failed:
        assert done.result(SAFE_SECONDS) == 7
        with pytest.raises(KeyError):
            failed.result(SAFE_SECONDS)


def test_leaving_ends_what_is_done_and_gives_its_thread_to_the_next():
    hands = Hands(threads=1, share=1)
    with hands.doing(until_stopped) as first:
        pass
    with hands.doing(lambda stop: "next") as second:
        assert second.result(SAFE_SECONDS) == "next"
    assert first.result(SAFE_SECONDS) == "stopped"


def test_one_user_never_has_all_the_hands():
    hands, begun = Hands(threads=3, share=2), []

    def noted(stop: Event) -> str:
        begun.append(1)
        return until_stopped(stop)

    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(hands.doing(noted, "busy"))
        with hands.doing(lambda stop: "heard", "other") as other:
            assert other.result(SAFE_SECONDS) == "heard"
        assert len(begun) == 2


def test_one_address_leaves_hands_for_others():
    hands = Hands(threads=4, share=2)
    with ExitStack() as stack:
        for number in range(9):
            stack.enter_context(hands.doing(until_stopped, f"near/{number}"))
        with hands.doing(lambda stop: "heard", "far/1") as other:
            assert other.result(SAFE_SECONDS) == "heard"


def test_what_is_late_leaves_hands_for_what_is_not():
    hands, begun = Hands(threads=4, share=2), []

    def noted(stop: Event) -> str:
        begun.append(1)
        return until_stopped(stop)

    with ExitStack() as stack:
        for user in "aabbcc":
            stack.callback(hands.leave, hands.ask(noted, user, late=True))
        jobs = [stack.enter_context(hands.doing(lambda stop: "heard", user)) for user in "ad"]
        assert [job.result(SAFE_SECONDS) for job in jobs] == ["heard", "heard"]
        assert len(begun) == 2


def test_users_take_turns():
    hands, gate, order = Hands(threads=1, share=1), Event(), []
    with ExitStack() as stack:
        stack.enter_context(hands.doing(lambda stop: gate.wait(SAFE_SECONDS), "a"))
        jobs: list[Future[Any]] = [
            stack.enter_context(hands.doing(lambda stop, user=user: order.append(user), user))
            for user in "aab"
        ]
        gate.set()
        wait(jobs, SAFE_SECONDS)
    assert order in (["a", "b", "a"], ["b", "a", "a"])


def test_what_nobody_waits_for_is_done_only_where_a_hand_is_free():
    hands, done = Hands(threads=2, share=1), []
    with hands.doing(until_stopped, "a"):
        hands.spare(lambda stop: done.append("a's"), "a")
        hands.spare(lambda stop: done.append("b's"), "b")
        settled(lambda: done)
        assert done == ["b's"]


# A turn whose clip is far away.


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


def settled(met: Any) -> float:
    """The seconds until `met` is so."""
    start = time.monotonic()
    while not met():
        assert time.monotonic() - start < SAFE_SECONDS
        time.sleep(0.02)
    return time.monotonic() - start


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
    assert time.monotonic() - start < 0.3
    assert settled(lambda: not fetching()) < 1.5


def test_closing_a_batch_ends_its_downloads_and_says_nothing(
    server: str, caplog: pytest.LogCaptureFixture
):
    rows = {place: Row(f"{server}/dripping.wav", "What is that?") for place in range(2)}
    with closing(hearing(rows, Ear(Limits(allow_private_urls=True)), Hands())) as coming:
        assert [next(coming), next(coming)] == [None, None]
        assert fetching()
    assert settled(lambda: not fetching()) < 1.5
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
