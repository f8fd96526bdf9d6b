"""Who is being answered: how many requests may be under way, of one user, one house and in all.

A request has its place from before its first clip is heard to the last word of its reply, so
that the limits hold for what is only downloading too. May be used from many threads.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

from demo.engine import Budgets
from demo.messages import UserError
from demo.queueing import Crowd, CrowdedError, require_room


class Places:
    """Room for `most` requests, `each` of one user; `beside` of the most do not count.

    Where not `by_house`, one house may have all of them. `refusal` is raised where there is none.
    """

    def __init__(
        self,
        most: int = Budgets.waiting,
        each: int = Budgets.each,
        beside: int = 0,
        refusal: type[UserError] = CrowdedError,
        by_house: bool = True,
    ) -> None:
        self._most, self._each, self._beside = most, each, beside
        self._refusal, self._by_house = refusal, by_house
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
            crowd = crowd if self._by_house else replace(crowd, near=0)
            require_room(user, crowd, self._refusal)
            self._taken[user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[user] -= 1
                self._taken += Counter()  # drops the users without any
