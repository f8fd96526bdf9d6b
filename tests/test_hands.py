"""Places and hands: one user's slow clips neither pass the limits nor hold up anybody else."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from demo.hands import Hands
from demo.places import Places
from demo.queueing import CrowdedError
from tests.serving import PATIENCE, until

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
            first.result(timeout=PATIENCE)
    with hands.doing(lambda stop: 2, "b") as second:
        assert second.result(timeout=PATIENCE) == 2


def until_stopped(stop: Event) -> str:
    assert stop.wait(PATIENCE)
    return "stopped"


def noting(begun: list[int]) -> Callable[[Event], str]:
    """The same, which notes that it has begun."""

    def work(stop: Event) -> str:
        begun.append(1)
        return until_stopped(stop)

    return work


def test_what_is_done_is_had_and_what_goes_wrong_is_raised():
    hands = Hands()
    with hands.doing(lambda stop: 7) as done, hands.doing(lambda stop: {}["x"]) as failed:
        assert done.result(PATIENCE) == 7
        with pytest.raises(KeyError):
            failed.result(PATIENCE)


def test_leaving_ends_what_is_done_and_gives_its_thread_to_the_next():
    hands = Hands(threads=1, share=1)
    with hands.doing(until_stopped) as first:
        pass
    with hands.doing(lambda stop: "next") as second:
        assert second.result(PATIENCE) == "next"
    assert first.result(PATIENCE) == "stopped"


def test_one_user_never_has_all_the_hands():
    hands, begun = Hands(threads=3, share=2), []

    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(hands.doing(noting(begun), "busy"))
        with hands.doing(lambda stop: "heard", "other") as other:
            assert other.result(PATIENCE) == "heard"
        until(lambda: len(begun) >= 2)
        assert len(begun) == 2


def test_one_address_leaves_hands_for_others():
    hands = Hands(threads=4, share=2)
    with ExitStack() as stack:
        for number in range(9):
            stack.enter_context(hands.doing(until_stopped, f"near/{number}"))
        with hands.doing(lambda stop: "heard", "far/1") as other:
            assert other.result(PATIENCE) == "heard"


def test_what_is_late_leaves_hands_for_what_is_not():
    hands, begun = Hands(threads=4, share=2), []

    with ExitStack() as stack:
        for user in "aabbcc":
            stack.callback(hands.leave, hands.ask(noting(begun), user, late=True))
        jobs = [stack.enter_context(hands.doing(lambda stop: "heard", user)) for user in "ad"]
        assert [job.result(PATIENCE) for job in jobs] == ["heard", "heard"]
        until(lambda: len(begun) >= 2)
        assert len(begun) == 2


def test_users_take_turns():
    hands, gate, order = Hands(threads=1, share=1), Event(), []
    with ExitStack() as stack:
        stack.enter_context(hands.doing(lambda stop: gate.wait(PATIENCE), "a"))
        jobs: list[Future[Any]] = [
            stack.enter_context(hands.doing(lambda stop, user=user: order.append(user), user))
            for user in "aab"
        ]
        gate.set()
        wait(jobs, PATIENCE)
    assert order in (["a", "b", "a"], ["b", "a", "a"])


def test_what_nobody_waits_for_is_done_only_where_a_hand_is_free():
    hands, done = Hands(threads=2, share=1), SimpleQueue[str]()
    with hands.doing(until_stopped, "a"):
        hands.spare(lambda stop: done.put("a's"), "a")
        hands.spare(lambda stop: done.put("b's"), "b")
        assert done.get(timeout=PATIENCE) == "b's"
        assert done.empty()
