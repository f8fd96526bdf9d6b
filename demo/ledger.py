"""How much each house has uploaded within a day: none may take more than half of the room for all.

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
    """Bytes by house; `most` is the room for all. For many threads.

    Counted are this day and, by the share of it that lies less than a day back, the one before.
    """

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = SHARE * most
        self._clock, self._begun = clock, clock()
        self._bytes, self._before = Counter[str](), Counter[str]()
        self._lock = Lock()

    def has_room(self, house: str, count: int) -> bool:
        """Enters `count` bytes more of a house; False where they are more than its share."""
        with self._lock:
            days = self._days()
            self._bytes[house] += count
            used = self._bytes[house] + self._before[house] * (1 - days)
            return not house or used <= self.limit

    def _days(self) -> float:
        """How much of this day is over."""
        days = (self._clock() - self._begun) / DAY_SECONDS
        if days >= 1:
            self._before = self._bytes if days < 2 else Counter[str]()
            self._bytes = Counter[str]()
            self._begun += int(days) * DAY_SECONDS
        return days % 1
