"""Wrong passwords by house: after a few within a minute, none is looked at until it is over.

The minute is each house's own, from its first one on. The same one again is no guess: it is a
program's, or that of a proxy with accounts of its own. See `demo.users` for houses; what has no
name may be many behind one proxy, and may guess more often. This module knows neither requests nor
accounts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from threading import Lock

MOST = 10
MOST_UNKNOWN = 100
SECONDS = 60.0


@dataclass(frozen=True)
class _Wrong:
    """What one house gave, as hashes, since `begun`."""

    begun: float
    given: set[int] = field(default_factory=set)


class Guesses:
    """How often each house was wrong, since at most a minute; for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, _Wrong] = {}  # the oldest first
        self._lock = Lock()

    def are_spent(self, house: str) -> bool:
        """Whether a house may not guess again yet."""
        with self._lock:
            self._forget()
            wrong = self._wrong.get(house)
            return bool(wrong) and len(wrong.given) >= (MOST if house else MOST_UNKNOWN)

    def wrong(self, house: str, given: object) -> None:
        """Notes what was given for a password; of it only its hash is kept."""
        with self._lock:
            self._forget()
            self._wrong.setdefault(house, _Wrong(self._clock())).given.add(hash(given))

    def right(self, house: str, given: object) -> None:
        """It was none after all."""
        with self._lock:
            if wrong := self._wrong.get(house):
                wrong.given.discard(hash(given))

    def _forget(self) -> None:
        before = self._clock() - SECONDS
        over = takewhile(lambda house: self._wrong[house].begun <= before, self._wrong)
        for house in list(over):
            del self._wrong[house]
