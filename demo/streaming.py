"""One thread that makes replies, one after another, and the streams that it feeds.

Everything that runs the model runs on this one thread: CUDA graphs and random states belong to a
thread. This module knows neither torch nor tokens; it hands pieces of text from the maker of a
reply to its reader, stops the maker when the reader goes away, and never lets a reader hang.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator

SPARE_MOST = 16  # what is more is forgotten: nobody waits for it
POLL_SECONDS = 0.05  # how long a reader waits before it yields "", which lets it be closed


class StoppedError(Exception):
    """Raised inside a reply's making when its reader is gone."""


class Reply:
    """One reply on its way from the inference thread to one reader."""

    def __init__(self, make: Callable[["Reply"], None], spare: bool = False) -> None:
        self._make = make
        self.spare = spare  # nobody reads it, and any other reply comes first
        self._pieces: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.begun = False  # whether its reader has had some of it

    def emit(self, piece: str) -> None:
        if piece:
            self.begun = True
            self._pieces.put(piece)

    def check(self) -> None:
        """Raises `StoppedError` once the reader is gone."""
        if self.stop.is_set():
            raise StoppedError

    def run(self) -> None:
        """Makes the reply, on the calling thread; whatever happens, its reader comes to an end."""
        try:
            if not self.stop.is_set():
                self._make(self)
        except StoppedError:
            self._pieces.put(None)
        except Exception as error:  # handed to the reader, who raises it
            self._pieces.put(error)
        else:
            self._pieces.put(None)

    def again(self) -> "Reply":
        """The same work, to be begun once more."""
        return Reply(self._make, self.spare)

    def fail(self, error: Exception) -> None:
        """Ends the reply with `error`: now if it waits, else as soon as its making has ended."""
        self._pieces.put(error)
        self.stop.set()

    def read(self) -> Iterator[str]:
        """The pieces as they come, "" while nothing is new; closing it stops the reply."""
        try:
            while (piece := self._next()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.stop.set()

    def _next(self) -> str | Exception | None:
        try:
            return self._pieces.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return ""


class InferenceThread:
    """Makes replies one at a time, in the order they were asked for.

    When none waits it does spare work, which the next reply to come interrupts.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Reply] = deque()
        self._spare: deque[Reply] = deque(maxlen=SPARE_MOST)
        self._running: Reply | None = None
        self._closed: Exception | None = None
        self.idle = threading.Event()
        self.idle.set()
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is being made now."""
        return self._running is not None

    def submit(self, reply: Reply) -> Iterator[str]:
        """Queues `reply` and returns its reader; after `close` it fails with the error given."""
        with self._changed:
            self._queue(reply, self._waiting)
            if self._running and self._running.spare:
                self._running.stop.set()
        return reply.read()

    def prepare(self, work: Callable[[Reply], None]) -> None:
        """Queues work that nobody waits for; what interrupts it lets it go on afterwards."""
        with self._changed:
            self._queue(Reply(work, spare=True), self._spare)

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

    def _queue(self, reply: Reply, line: "deque[Reply]") -> None:
        if self._closed:
            raise self._closed
        line.append(reply)
        self.idle.clear()
        self._changed.notify()

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
            line = self._waiting or self._spare
            self._running = line.popleft() if line else None
            return self._running
