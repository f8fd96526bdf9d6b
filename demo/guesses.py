"""Wrong passwords by house: after a few within a minute, none is looked at until it is over.

The same one again is no guess: it is a program's, or that of a proxy with accounts of its own. See
`demo.users` for houses; what has no name may be many behind one proxy, and may guess more often.
This module knows neither requests nor accounts.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from threading import Lock

MOST = 10
MOST_UNKNOWN = 100
SECONDS = 60.0


class Guesses:
    """How often each house was wrong, since at most a minute; for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begun = clock, clock()
        self._wrong: defaultdict[str, set[int]] = defaultdict(set)
        self._lock = Lock()

    def are_spent(self, house: str) -> bool:
        """Whether a house may not guess again yet."""
        with self._lock:
            if self._clock() - self._begun >= SECONDS:
                self._begun = self._clock()
                self._wrong.clear()
            return len(self._wrong[house]) >= (MOST if house else MOST_UNKNOWN)

    def wrong(self, house: str, given: object) -> None:
        """Notes what was given for a password; of it only its hash is kept."""
        with self._lock:
            self._wrong[house].add(hash(given))

    def right(self, house: str, given: object) -> None:
        """It was none after all."""
        with self._lock:
            self._wrong[house].discard(hash(given))
