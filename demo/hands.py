"""Work off the page's handlers, which must not wait: a few things at once, the users in turn.

No user has more than a share of the threads, nor a house (see `demo.users`) more than it leaves
free, so that one's slow downloads hold up nobody else. This module knows nothing of what is done.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Generic, TypeVar

from demo.queueing import Crowd, FairQueue

THREADS = 16  # each may hold a file in memory
SHARE = 4  # of them, for one user

T = TypeVar("T")
Work = Callable[[Event], T]
"""What is to be done; it ends early once the Event is set, for then nobody waits for it."""


@dataclass(frozen=True, eq=False)
class Job(Generic[T]):
    """Something to be done; the future tells what became of it."""

    work: Work[T]
    user: str
    late: bool = False
    stop: Event = field(default_factory=Event)
    future: Future[T] = field(default_factory=Future)


class Hands:
    """`threads` things at once, `share` of one user; may be used from many threads."""

    def __init__(self, threads: int = THREADS, share: int = SHARE) -> None:
        self._threads, self._share = threads, share
        self._waiting = FairQueue[Job[Any]](sys.maxsize, sys.maxsize)  # who asks has limits
        self._busy, self._late = Counter[str](), Counter[str]()  # the late are busy too
        self._lock = Lock()

    def ask(self, work: Work[T], user: str = "", late: bool = False) -> Job[T]:
        """Begins `work` when it is the user's turn, after the others' where it is `late`.

        Some threads are never given to what is late, and one of each user's share. Whoever asks
        must `leave`, if need be before it is done.
        """
        job = Job(work, user, late)
        with self._lock:
            self._waiting.put(job, user, late=late)
            self._begin()
        return job

    def leave(self, job: Job[Any]) -> None:
        """Ends a job, for nobody waits for it any more."""
        job.stop.set()
        with self._lock:
            self._waiting.leave(job)

    @contextmanager
    def doing(self, work: Work[T], user: str = "") -> Iterator[Future[T]]:
        """What becomes of `work`; leaving ends it."""
        job = self.ask(work, user)
        try:
            yield job.future
        finally:
            self.leave(job)

    def spare(self, work: Work[Any], user: str = "") -> None:
        """Begins what nobody waits for, errors and all; where no thread is free it is forgotten."""
        with self._lock:
            if self._may(user, late=False):
                self._start(Job(work, user))

    def _begin(self) -> None:
        """Starts what waits, as far as there are threads for it."""
        while job := self._waiting.next(self._may):
            self._start(job)

    def _may(self, user: str, late: bool) -> bool:
        """Whether there is a thread for one more thing of `user`."""
        if Crowd.around(user, self._busy, self._share, self._threads).limit(user):
            return False
        each, most = max(1, self._share - 1), max(1, self._threads // 2)
        return not (late and Crowd.around(user, self._late, each, most).limit(user))

    def _start(self, job: Job[Any]) -> None:
        self._count(job, 1)
        try:  # a daemon, as a download must not keep the process from its end
            Thread(target=self._do, args=(job,), name="hands", daemon=True).start()
        except RuntimeError as error:  # the system gives no more threads
            self._count(job, -1)
            job.future.set_exception(error)

    def _count(self, job: Job[Any], by: int) -> None:
        for counter in (self._busy, self._late) if job.late else (self._busy,):
            counter[job.user] += by
            if not counter[job.user]:
                del counter[job.user]

    def _do(self, job: Job[Any]) -> None:
        try:
            job.future.set_result(job.work(job.stop))
        except BaseException as error:  # for whoever waits for it
            job.future.set_exception(error)
        with self._lock:
            self._count(job, -1)
            self._begin()
