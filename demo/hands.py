"""Work off the page's handlers, which must not wait: a few things at once, the users in turn.

No user has more than a share of the threads, so that one's slow downloads hold up nobody else.
This module knows nothing of what is done.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, TypeVar

from demo.queueing import FairQueue

THREADS = 16  # each may hold a file in memory
SHARE = 4  # of them, for one user

T = TypeVar("T")
Work = Callable[[Event], T]
"""What is to be done; it ends early once the Event is set, for then nobody waits for it."""


@dataclass(frozen=True, eq=False)
class _Job:
    work: Work[Any]
    user: str
    stop: Event = field(default_factory=Event)
    future: Future[Any] = field(default_factory=Future)


class Hands:
    """`threads` things at once, `share` of one user; may be used from many threads."""

    def __init__(self, threads: int = THREADS, share: int = SHARE) -> None:
        self._threads, self._share = threads, share
        self._waiting: FairQueue[_Job] = FairQueue(sys.maxsize, sys.maxsize)  # who asks has limits
        self._busy: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def doing(self, work: Work[T], user: str = "") -> Iterator["Future[T]"]:
        """What becomes of `work`, begun when it is the user's turn; leaving ends it."""
        job = _Job(work, user)
        with self._lock:
            self._waiting.put(job, user)
            self._begin()
        try:
            yield job.future
        finally:
            job.stop.set()
            with self._lock:
                self._waiting.leave(job)

    def spare(self, work: Work[Any], user: str = "") -> None:
        """Begins what nobody waits for, errors and all; where no thread is free it is forgotten."""
        with self._lock:
            if self._busy.total() < self._threads and self._busy[user] < self._share:
                self._start(_Job(work, user))

    def _begin(self) -> None:
        """Starts what waits, as far as there are threads for it."""
        while self._busy.total() < self._threads:
            full = {user for user, busy in self._busy.items() if busy >= self._share}
            if (job := self._waiting.next(but=full)) is None:
                return
            self._start(job)

    def _start(self, job: _Job) -> None:
        self._busy[job.user] += 1
        try:  # a daemon, as a download must not keep the process from its end
            Thread(target=self._do, args=(job,), name="hands", daemon=True).start()
        except RuntimeError as error:  # the system gives no more threads
            self._busy[job.user] -= 1
            job.future.set_exception(error)

    def _do(self, job: _Job) -> None:
        try:
            job.future.set_result(job.work(job.stop))
        except BaseException as error:  # for whoever waits for it
            job.future.set_exception(error)
        with self._lock:
            self._busy[job.user] -= 1
            self._busy += Counter()  # drops the users without any
            self._begin()
