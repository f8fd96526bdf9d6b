"""How much each house has uploaded today: none may take more than half of the room for all.

See `demo.users` for houses. Bytes are counted as they come in, also of uploads that break off; a
house without a name, as behind a proxy that tells no address, is not limited. This module knows
neither requests nor files.
"""

import time
from collections import Counter
from collections.abc import Callable
from threading import Lock

SHARE = 0.5
DAY_SECONDS = 24 * 3600.0


class Ledger:
    """Bytes by house, since at most a day; `most` is the room for all. For many threads."""

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = SHARE * most
        self._clock, self._begun = clock, clock()
        self._bytes: Counter[str] = Counter()
        self._lock = Lock()

    def has_room(self, house: str, count: int) -> bool:
        """Enters `count` bytes more of a house; False where they are more than its share."""
        with self._lock:
            if self._clock() - self._begun >= DAY_SECONDS:
                self._begun = self._clock()
                self._bytes.clear()
            self._bytes[house] += count
            return not house or self._bytes[house] <= self.limit
