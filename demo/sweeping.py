"""What is done now and then as long as the app runs: old things are forgotten.

Gradio keeps some 0.2 MB for every page that was ever opened, up to 10,000 of them. Nearly all of it
is a copy of the whole page for deep links, which this page does not offer, and into it goes all
that is sent, clips in a data: URL too: it is let go at once; the rest once a page is left for a
while. This module knows no model and no sound.
"""

import ctypes
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

EVERY_SECONDS = 60.0
FORGET_EVERY_SECONDS = 10.0
LEFT_SECONDS = 600.0
UNUSED_SECONDS = 24 * 3600.0  # some programs never say that they leave
M_ARENA_MAX = -8  # glibc's number for how many there may be
ARENAS = 2

log = logging.getLogger(__name__)


class Clock:
    """Seconds since 1970 that no jump of the system's clock makes later than they are.

    What is a day old by a clock that was set a day ahead would be deleted; what is thought younger
    than it is stays a little longer. A machine that sleeps is thought to have stood still.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._begun = wall() - steady()

    def __call__(self) -> float:
        return min(self._wall(), self._begun + self._steady())


class Sweeper(threading.Thread):
    """Does its `jobs` at once, and again and again until it is closed."""

    def __init__(self, jobs: Sequence[Callable[[], None]], every: float = EVERY_SECONDS) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._jobs, self._every, self._ending = jobs, every, threading.Event()

    def run(self) -> None:
        while True:
            for job in self._jobs:
                try:
                    job()
                except Exception as error:  # the next time it may go well
                    log.warning("sweeping failed: %s", type(error).__name__)
            if self._ending.wait(self._every):
                return

    def close(self) -> None:
        self._ending.set()


class Unkept(dict[int, Any]):
    """Stands where Gradio copies a page and what is sent to it, and keeps nothing.

    Gradio looks a block up, makes its entry where there is none, and writes a value into it; an
    event may be between two of these when this takes the copy's place.
    """

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: int) -> Any:
        return {}

    def __setitem__(self, key: int, value: Any) -> None:
        """Only a deep link would read it."""


def forget_left(sessions: Any, now: float, seconds: float = LEFT_SECONDS) -> None:
    """Drops the sessions in Gradio's state holder whose page was left and unused for so long.

    Of all others, what only a deep link would read (`config_values`). A page that comes back with
    the same session, as after a laptop's sleep, gets a new one: its conversation is in the browser.
    """
    for session in list(sessions.session_data.values()):
        session.config_values = Unkept()
    left = left_for(sessions, now, seconds)
    with sessions.lock:
        for name in left:
            sessions.session_data.pop(name, None)
            sessions.time_last_used.pop(name, None)


def left_for(sessions: Any, now: float, seconds: float) -> dict[str, Any]:
    """The sessions whose page was left and that were not used for so long, or a day, by name.

    A page that lost its connection for a moment counts as left for ever, and may be in use.
    """
    before, day_before = (datetime.fromtimestamp(now - one) for one in (seconds, UNUSED_SECONDS))
    return {
        name: session
        for name, session in list(sessions.session_data.items())
        if (used := sessions.time_last_used.get(name, before)) <= day_before
        or (session.is_closed and used <= before)
    }


def share_arenas() -> None:
    """Lets threads take memory from two places instead of eight a core, where it is glibc.

    What one thread freed another uses then; it lay idle in the places of a hundred users' threads.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Lets the C library return freed memory to the system, where it is glibc.

    It does so by itself only at the end of the heap, and what many users' requests took lies idle
    between what stays.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
