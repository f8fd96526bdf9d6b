"""Requests of many users: their order, their limits, and the one thread that makes replies."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import streaming
from demo.engine import Budgets, Waiting
from demo.loading import LoadingError
from demo.queueing import PASSED_MOST, CrowdedError, FairQueue
from demo.streaming import InferenceThread, Reply
from tests.serving import PATIENCE

# The order.


def taken(queue: FairQueue[str]) -> list[str]:
    return list(iter(queue.next, None))


def test_ten_requests_of_one_user_do_not_hold_up_the_one_of_another():
    queue: FairQueue[str] = FairQueue(64, 64)
    for number in range(10):
        queue.put(f"busy {number}", "busy")
    queue.put("other", "other")
    order = taken(queue)
    assert order.index("other") == 1
    assert [one for one in order if one != "other"] == [f"busy {number}" for number in range(10)]


@given(st.lists(st.sampled_from(["a", "b", "h/c", "h/d"]), max_size=20), st.data())
def test_who_waits_knows_how_many_come_before(users: list[str], data: st.DataObject):
    queue: FairQueue[tuple[str, int]] = FairQueue(64, 64)
    for number, user in enumerate(users):
        queue.put((user, number), user)
    for _ in range(data.draw(st.integers(0, len(users)))):
        queue.next()
    left = list(queue)
    ahead = {request: queue.ahead(request) for request in left}
    order = list(iter(queue.next, None))
    assert [ahead[request] for request in order] == list(range(len(left)))


def test_ten_sessions_of_one_address_do_not_hold_up_another():
    queue: FairQueue[str] = FairQueue(64, 64)
    for number in range(10):
        queue.put(f"busy {number}", f"near/{number}")
    for number in range(2):
        queue.put(f"other {number}", "far/1")
    assert taken(queue)[:5] == ["busy 0", "other 0", "busy 1", "other 1", "busy 2"]


def test_what_is_late_waits_for_the_others_but_not_for_ever():
    queue: FairQueue[str] = FairQueue(64, 64)
    for name in ("lot 1", "lot 2"):
        queue.put(name, "batch", late=True)
    for number in range(6):
        queue.put(f"chat {number}", "visitor")
    assert queue.ahead("chat 0") == 0
    assert queue.ahead("lot 2") == 7
    order = taken(queue)
    assert order.index("chat 0") == 0
    assert order.index("lot 1") == PASSED_MOST
    assert order[-1] == "lot 2"


def test_a_request_that_left_is_never_answered_and_makes_room():
    queue: FairQueue[str] = FairQueue(2, 2)
    queue.put("a", "x")
    queue.put("b", "x")
    queue.leave("a")
    queue.leave("a")
    queue.put("c", "y")
    assert taken(queue) == ["b", "c"]


def test_too_many_are_told_how_many_wait():
    queue: FairQueue[int] = FairQueue(3, 2)
    queue.put(1, "x")
    with pytest.raises(CrowdedError, match="2 of your requests"):
        queue.put(2, "x", running=True)
    queue.put(2, "x")
    with pytest.raises(CrowdedError, match="2 of your requests"):
        queue.put(3, "x")
    queue.put(3, "y")
    with pytest.raises(CrowdedError, match="3 requests already"):
        queue.put(4, "z")
    assert len(queue) == 3


def test_the_program_itself_has_no_limit_of_a_user():
    queue: FairQueue[int] = FairQueue(20, 1)
    for number in range(20):
        queue.put(number, "")
    assert len(queue) == 20


# The thread.


def letters(text: str) -> Reply:
    def make(reply: Reply) -> None:
        for letter in text:
            reply.emit(letter)

    return Reply(make)


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    thread = InferenceThread()
    yield thread
    thread.close(LoadingError("starting"))


def test_only_who_waits_for_a_reply_is_expected_again(thread: InferenceThread) -> None:
    for late in (True, False):
        reply = letters("ab")
        reply.late = late
        assert "".join(thread.submit(reply)) == "ab"
        assert thread.sought is not late


def test_replies_are_made_in_the_order_they_were_asked_for(thread: InferenceThread) -> None:
    made: list[int] = []
    readers = [thread.submit(Reply(lambda reply, n=n: made.append(n))) for n in range(20)]
    assert ["".join(reader) for reader in readers] == [""] * 20
    assert made == list(range(20))


def test_a_reader_gets_every_piece_even_when_it_comes_late(thread: InferenceThread) -> None:
    reader = thread.submit(letters("hello"))
    assert thread.idle.wait(PATIENCE)
    assert "".join(reader) == "hello"


def test_a_failure_comes_after_the_pieces_before_it(thread: InferenceThread) -> None:
    def make(reply: Reply) -> None:
        reply.emit("half")
        raise ValueError("broken")

    reader = thread.submit(Reply(make))
    pieces = []
    with pytest.raises(ValueError, match="broken"):
        pieces.extend(reader)
    assert thread.idle.wait(PATIENCE)
    assert "".join(thread.submit(letters("next"))) == "next"


def test_a_reader_waits_in_short_steps_so_that_it_can_be_closed(thread: InferenceThread) -> None:
    stopped = threading.Event()

    def make(reply: Reply) -> None:
        if reply.stop.wait(PATIENCE):
            stopped.set()

    reader = thread.submit(Reply(make))
    assert [next(reader), next(reader)] == ["", ""]
    reader.close()  # type: ignore[attr-defined]
    assert stopped.wait(PATIENCE)


def test_closing_the_thread_ends_what_runs_and_what_waits() -> None:
    def until_stopped(reply: Reply) -> None:
        reply.stop.wait(PATIENCE)

    thread = InferenceThread()
    running = thread.submit(Reply(until_stopped))
    waiting = thread.submit(letters("never"))
    assert next(running) == ""
    closed = LoadingError("starting")
    thread.close(closed)
    for reader in (running, waiting):
        with pytest.raises(LoadingError):
            list(reader)
    with pytest.raises(LoadingError):
        thread.submit(letters("x"))


def test_users_take_turns_and_know_their_place() -> None:
    thread, gate, made = InferenceThread(Budgets(waiting=4)), threading.Event(), []

    def held(reply: Reply) -> None:
        gate.wait(PATIENCE)

    def asked(user: str) -> Iterator[str]:
        return thread.submit(Reply(lambda reply: made.append(user), user))

    first = thread.submit(Reply(held, "a"))
    assert next(first) == ""  # it is begun
    readers = [asked("a"), asked("a"), asked("b")]
    places = [piece.ahead for piece in map(next, readers) if isinstance(piece, Waiting)]
    assert places == [1, 3, 2]
    gone = asked("c")
    assert next(gone) == Waiting(3)
    with pytest.raises(CrowdedError):
        asked("d")
    gone.close()  # type: ignore[attr-defined]
    gate.set()
    assert ["".join(reader) for reader in [first, *readers]] == [""] * 4
    assert made == ["a", "b", "a"]
    thread.close(LoadingError("starting"))


def test_who_is_far_back_is_told_seldom_but_woken_as_soon_as_the_reply_begins(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(streaming, "IN_LINE_SHARE", 0.25)
    stream = Reply(lambda reply: reply.emit("word"))
    pieces = stream.read(lambda: 4)
    assert next(pieces) == Waiting(4)
    start = time.monotonic()
    assert next(pieces) == Waiting(4)
    assert time.monotonic() - start >= 4 * 0.25
    monkeypatch.setattr(streaming, "IN_LINE_SHARE", PATIENCE)
    threading.Timer(0.1, stream.run).start()
    start = time.monotonic()
    assert "".join(pieces) == "word"
    assert time.monotonic() - start < PATIENCE
