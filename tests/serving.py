"""`python app.py` as a process of its own on a free port, as a host starts it."""

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from urllib.error import HTTPError, URLError

ROOT = Path(__file__).parents[1]
UPLOADS = Path(tempfile.gettempdir()) / f"qwen2-audio-{os.getuid()}"  # of a host with no wishes
PATIENCE = 120  # seconds for what takes one or two: a machine with other work is slow, not wrong
START_SECONDS = 240  # such a machine imports slowly
READY = "is ready, on"


@dataclass(frozen=True)
class Served:
    """A running app: where it is and what it has printed."""

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, met: str) -> None:
        """Returns when `met` is in the log."""
        end = time.monotonic() + START_SECONDS
        while met not in self.log:
            assert self.process.poll() is None, f"the app ended:\n{self.log}"
            assert time.monotonic() < end, f"no {met!r} in:\n{self.log}"
            time.sleep(0.1)


def free_port() -> int:
    """A port that nobody takes before a server that starts slowly does.

    The system gives those of 32,768 and more to whoever asks for any, so this is of those below:
    of a hundred that this process has for itself, one after the other.
    """
    while True:
        port = next(_own_ports())
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@cache
def _own_ports() -> Iterator[int]:
    first = 12_000
    while not _take(first):
        first += 100
    return cycle(range(first + 1, first + 100))


def _take(port: int) -> bool:
    """Holds a port for as long as this process lives, where it is free."""
    with socket.socket() as holder:
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            return False
        holder.detach()
    return True


def until(met: Callable[[], bool], within: float = PATIENCE) -> None:
    """Asks again and again, and returns once it is so; fails where that takes more seconds."""
    end = time.monotonic() + within
    while not met():
        assert time.monotonic() < end
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a server is there and has this page."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def serving(
    log_file: Path,
    *flags: str,
    scheme: str = "http",
    ready: bool = True,
    port: int = 0,
    environ: Mapping[str, str] | None = None,
    stdout: int | None = None,
) -> Iterator[Served]:
    """The app with `flags`, once its page answers and, if `ready`, its engine too.

    It knows the variables of `environ` beside those of this process. Its log is all that it
    prints, without what goes to `stdout` where that is given.
    """
    port = port or free_port()
    own = {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "2", **(environ or {})}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), *flags],
            cwd=ROOT, env={**os.environ, **own}, stdout=stdout or log, stderr=log,
        )  # fmt: skip
    served = Served(f"{scheme}://127.0.0.1:{port}", process, log_file)
    try:
        _wait_for_page(served)
        if ready:
            served.wait_until(READY)
        yield served
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_for_page(served: Served) -> None:
    trusting = ssl._create_unverified_context()
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert served.process.poll() is None, f"the app ended:\n{served.log}"
        try:
            urllib.request.urlopen(served.url, timeout=10, context=trusting).close()
            return
        except HTTPError:
            return  # it answers, if only that one must log in
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"the page does not answer:\n{served.log}")
