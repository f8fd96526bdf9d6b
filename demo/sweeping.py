"""What is done now and then as long as the app runs: old things are forgotten.

Gradio keeps some 0.2 MB for every page that was ever opened, up to 10,000 of them; here those that
were left a while ago are let go, and the memory goes back to the system where it can. This module
knows no model and no sound.
"""

import ctypes
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

EVERY_SECONDS = 60.0
LEFT_SECONDS = 120.0

log = logging.getLogger(__name__)


class Sweeper(threading.Thread):
    """Does its `jobs` again and again, until it is closed."""

    def __init__(self, jobs: Sequence[Callable[[], None]], every: float = EVERY_SECONDS) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._jobs, self._every, self._ending = jobs, every, threading.Event()

    def run(self) -> None:
        while not self._ending.wait(self._every):
            for job in self._jobs:
                try:
                    job()
                except Exception as error:  # the next time it may go well
                    log.warning("sweeping failed: %s", type(error).__name__)

    def close(self) -> None:
        self._ending.set()


def forget_left(sessions: Any, seconds: float = LEFT_SECONDS) -> None:
    """Drops the sessions in Gradio's state holder whose page was left and unused for so long.

    A page that comes back with the same session, as after a laptop's sleep, gets a new one: its
    conversation is in the browser.
    """
    before = datetime.now() - timedelta(seconds=seconds)
    left = [
        name
        for name, session in list(sessions.session_data.items())
        if session.is_closed and sessions.time_last_used.get(name, before) <= before
    ]
    with sessions.lock:
        for name in left:
            sessions.session_data.pop(name, None)
            sessions.time_last_used.pop(name, None)
    if left:
        give_back()


def give_back() -> None:
    """Lets the C library return freed memory to the system, where it is glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
