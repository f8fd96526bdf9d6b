"""Who is being answered: how many requests may be under way, of one user, one house and in all.

A request has its place from before its first clip is heard to the last word of its reply, so
that the limits hold for what is only downloading too. May be used from many threads.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from demo.engine import Budgets
from demo.queueing import Crowd, require_room


class Places:
    """Room for `most` requests, `each` of one user; `beside` of the most do not count.

    `require` raises where there is none.
    """

    def __init__(
        self,
        most: int = Budgets.waiting,
        each: int = Budgets.each,
        beside: int = 0,
        require: Callable[[str, Crowd], None] = require_room,
    ) -> None:
        self._most, self._each, self._beside = most, each, beside
        self._require = require
        self._taken: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def total(self) -> int:
        """How many requests are under way."""
        with self._lock:
            return self._taken.total()

    @contextmanager
    def taken(self, user: str) -> Iterator[None]:
        """A place for one request.

        Raises:
            UserError: there is none.
        """
        with self._lock:
            crowd = Crowd.around(user, self._taken, self._each, self._most, self._beside)
            self._require(user, crowd)
            self._taken[user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[user] -= 1
                self._taken += Counter()  # drops the users without any
