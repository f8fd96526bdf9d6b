"""One thread that makes replies, one at a time, and the streams that it feeds.

Everything that runs the model runs on this one thread: CUDA graphs and random states belong to a
thread. This module knows neither torch nor tokens; it hands pieces of text from the maker of a
reply to its reader, stops the maker when the reader goes away, and never lets a reader hang.
"""

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from demo.engine import Budgets, Waiting
from demo.queueing import FairQueue

SOUGHT_SECONDS = 60.0  # so long somebody who asked may ask again
SPARE_MOST = 16  # what is more is forgotten: nobody waits for it
POLL_SECONDS = 0.05  # how long a reader waits before it yields "", which lets it be closed
IN_LINE_SECONDS = 0.25  # the same while its reply is not begun
IN_LINE_SHARE = 0.1  # and at least so much for each reply before it: a hundred who are told their
# place four times a second keep the page's process from answering any of them


class StoppedError(Exception):
    """Raised inside a reply's making when its reader is gone."""


class Stream:
    """Pieces of text on their way from a maker to one reader, each on a thread of its own."""

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self.stop = threading.Event()  # the reader is gone
        self.running = True  # whether the maker is at work, and the reader not in line any more
        self.begun = False  # whether the reader has had some of it

    def emit(self, piece: str) -> None:
        if piece:
            self.begun = True
            self._pieces.put(piece)

    def end(self, error: Exception | None = None) -> None:
        """There is no more, or what went wrong, for the reader to raise."""
        self._pieces.put(error)

    def read(self, ahead: Callable[[], int] = int) -> Iterator[str]:
        """The pieces as they come, "" while nothing is new; closing it sets `stop`.

        Until the maker is at work, `ahead` is asked how many come before it.
        """
        try:
            if place := ahead():
                yield Waiting(place)
            while (piece := self._next(ahead, place)) is not None:
                if isinstance(piece, Exception):
                    raise piece
                place = piece.ahead if isinstance(piece, Waiting) else 0
                yield piece
        finally:
            self.stop.set()

    def _next(self, ahead: Callable[[], int], place: int) -> str | Exception | None:
        in_line = not self.running
        patience = max(IN_LINE_SECONDS, IN_LINE_SHARE * place) if in_line else POLL_SECONDS
        try:
            return self._pieces.get(timeout=patience)
        except queue.Empty:
            return Waiting(ahead()) if in_line else ""


class Reply(Stream):
    """One reply on its way from the inference thread."""

    def __init__(
        self,
        make: Callable[["Reply"], None],
        user: str = "",
        spare: bool = False,
        late: bool = False,
    ) -> None:
        super().__init__()
        self._make = make
        self.user = user
        self.late = late  # nobody looks at it while it is made
        self.spare = spare  # nobody reads it, and any other reply comes first
        self.running = False

    def check(self) -> None:
        """Raises `StoppedError` once the reader is gone."""
        if self.stop.is_set():
            raise StoppedError

    def run(self) -> None:
        """Makes the reply, on the calling thread; whatever happens, its reader comes to an end."""
        self.running = True
        self._pieces.put("")  # wakes a reader who waits in line, and may close it from now on
        try:
            if not self.stop.is_set():
                self._make(self)
        except StoppedError:
            self.end()
        except Exception as error:  # handed to the reader, who raises it
            self.end(error)
        else:
            self.end()

    def again(self) -> "Reply":
        """The same work, to be begun once more."""
        return Reply(self._make, self.user, self.spare)

    def fail(self, error: Exception) -> None:
        """Ends the reply with `error`: now if it waits, else as soon as its making has ended."""
        self.end(error)
        self.stop.set()


class InferenceThread:
    """Makes replies one at a time, in an order that is fair to their users.

    When none waits it does spare work, which the next reply to come interrupts.
    """

    def __init__(self, budgets: Budgets | None = None) -> None:
        budgets = budgets or Budgets()
        self._changed = threading.Condition()
        self._waiting: FairQueue[Reply] = FairQueue(budgets.waiting, budgets.each)
        self._spare: deque[Reply] = deque(maxlen=SPARE_MOST)
        self._running: Reply | None = None
        self._asked = -math.inf  # when somebody last did, for what is not late
        self._closed: Exception | None = None
        self.idle = threading.Event()
        self.idle.set()
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is being made now."""
        return self._running is not None

    @property
    def sought(self) -> bool:
        """Whether somebody may soon wait for what is being made now."""
        return time.monotonic() - self._asked < SOUGHT_SECONDS

    def submit(self, reply: Reply) -> Iterator[str]:
        """Queues `reply` and returns its pieces; closing them takes it out of the queue.

        Raises:
            CrowdedError: too many wait.
            Exception: what `close` was given.
        """
        with self._opened() as running:
            own = bool(running) and running.user == reply.user
            self._waiting.put(reply, reply.user, own, reply.late)
            self._asked = self._asked if reply.late else time.monotonic()
            if running and running.spare:
                running.stop.set()
        return self._followed(reply)

    def _followed(self, reply: Reply) -> Iterator[str]:
        try:
            yield from reply.read(partial(self._ahead, reply))
        finally:
            with self._changed:
                self._waiting.leave(reply)

    def load(self) -> tuple[int, int]:
        """How many replies wait, and how many are being made: one or none."""
        with self._changed:
            running = self._running
            return len(self._waiting), int(bool(running) and not running.spare)

    def prepare(self, work: Callable[[Reply], None]) -> None:
        """Queues work that nobody waits for; what interrupts it lets it go on afterwards."""
        with self._opened():
            self._spare.append(Reply(work, spare=True))

    def close(self, error: Exception) -> None:
        """Ends every reply with `error` and then the thread; returns when it has ended."""
        with self._changed:
            if self._closed is None:
                self._closed = error
                for reply in [*self._waiting, *([self._running] if self._running else [])]:
                    reply.fail(error)
                self._spare.clear()
                self._changed.notify()
        self._thread.join()

    @contextmanager
    def _opened(self) -> Iterator[Reply | None]:
        """Room to queue something, and what is running; the thread is told afterwards."""
        with self._changed:
            if self._closed:
                raise self._closed
            yield self._running
            self.idle.clear()
            self._changed.notify()

    def _ahead(self, reply: Reply) -> int:
        """How many replies are made before this one, the one that is being made among them."""
        with self._changed:
            running = self._running
            begun = bool(running) and not running.spare
            return 0 if running is reply else self._waiting.ahead(reply) + begun

    def _work(self) -> None:
        while (reply := self._next()) is not None:
            reply.run()
            with self._changed:
                self._running = None
                if reply.spare and reply.stop.is_set() and not self._closed:
                    self._spare.appendleft(reply.again())
                if not self._waiting and not self._spare:
                    self.idle.set()

    def _next(self) -> Reply | None:
        """What to do now; waits for it, and is None once the thread is closed and all is ended."""
        with self._changed:
            while not (self._waiting or self._spare or self._closed):
                self._changed.wait()
            self._running = self._waiting.next() or (self._spare.popleft() if self._spare else None)
            return self._running
