"""Decodes in processes of their own: what a file does to a codec ends one request and no more.

Each process has a limit of memory and each file one of time; a process that dies or takes too
long is replaced. Users take turns, and none has all the processes. It knows nothing of sound: what
decodes is a function that it is given.
"""

import atexit
import io
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from contextlib import suppress
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from queue import LifoQueue
from threading import Event, Thread
from typing import Any

from demo.hands import Hands
from demo.hearing.decode import Sound, decode
from demo.hearing.rules import AudioError, Limits
from demo.messages import Sentences

WORKERS = min(4, os.cpu_count() or 1)
SECONDS = 60.0  # for one file: a hundred times what ten minutes of mp3 take
STEP_SECONDS = 0.25  # of waiting for a process; between two of them a stop is seen
MEMORY_BYTES = 4 * 10**9  # of addresses, most of which libraries take and never use

Source = Path | bytes
Decode = Callable[[Source, str, Limits], Sound]

SENTENCES: Sentences = {
    "too_slow": (
        "{name} takes longer than {limit:.0f} s to read, which no sound file does. "
        "Please export or record it again.",
        "{name} 的读取时间超过 {limit:.0f} 秒，正常的音频文件不会这样。请重新导出或重新录音。",
    ),
    "too_much_memory": (
        "{name} takes more memory to read than any sound file does. "
        "Please export or record it again.",
        "读取 {name} 所需的内存超出正常音频文件的范围。请重新导出或重新录音。",
    ),
    "crashed": (
        "{name} is damaged in a way that ended its decoder. Please export or record it again.",
        "{name} 已损坏，导致解码器退出。请重新导出或重新录音。",
    ),
}


class SandboxError(AudioError):
    """A file did something to its decoder."""

    sentences = SENTENCES


def decode_source(source: Source, name: str, limits: Limits) -> Sound:
    """As `decode`, of a file on disk or in memory."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        return decode(file, name, limits)


class Sandbox:
    """Calls `work` in one of a few processes; may be used from many threads."""

    def __init__(
        self,
        work: Decode = decode_source,
        workers: int = WORKERS,
        seconds: float = SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._work, self._seconds, self._memory_bytes = work, seconds, memory_bytes
        self._hands = Hands(workers, max(1, workers - 1))
        self._free: LifoQueue[_Worker | None] = LifoQueue()  # None: one may be started
        for _ in range(workers):
            self._free.put(None)
        self._alive: set[_Worker] = set()
        self._closed = False
        atexit.register(self.close)  # or Python would wait for a process that heeds no SIGTERM

    def decode(
        self, source: Source, name: str, limits: Limits, user: str = "", stop: Event | None = None
    ) -> Sound:
        """What `work` makes of a file, once it is the user's turn.

        Raises:
            AudioError: what `work` raises, or the file took too much time or memory, or ended the
                process.
            CancelledError: `stop` was set meanwhile, or the sandbox is closed.
        """
        with self._hands.doing(partial(self._asked, (source, name, limits)), user) as asked:
            while not wait([asked], STEP_SECONDS).done:
                if stop and stop.is_set():
                    raise CancelledError
            found = asked.result()
        if isinstance(found, MemoryError):
            raise SandboxError("too_much_memory", name=name)
        if isinstance(found, Exception):
            raise found
        return found

    def _asked(self, job: "_Job", stop: Event) -> Any:
        """What a process answers; one that did not is not asked again, as its answer may come."""
        worker, name, answered = self._free.get(), job[1], False
        try:
            worker = worker or self._started()
            found = worker.ask(job, self._seconds, stop)
            answered = True
            return found
        except TimeoutError:
            raise SandboxError("too_slow", name=name, limit=self._seconds) from None
        except (EOFError, OSError):
            raise SandboxError("crashed", name=name) from None
        finally:
            self._free.put(worker if answered else self._ended(worker))

    def _started(self) -> "_Worker":
        if self._closed:
            raise CancelledError
        worker = _Worker(self._work, self._memory_bytes)
        self._alive.add(worker)
        return worker

    def _ended(self, worker: "_Worker | None") -> None:
        if worker:
            self._alive.discard(worker)
            worker.end()

    def close(self) -> None:
        """Ends the processes, whatever they are at."""
        self._closed = True
        atexit.unregister(self.close)
        for worker in list(self._alive):
            worker.kill()


_Job = tuple[Source, str, Limits]


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, work: Decode, memory_bytes: int) -> None:
        context = get_context("spawn")  # a fork of a process with threads may hang
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, work, memory_bytes), name="decoder", daemon=True
        )
        self.process.start()
        theirs.close()

    def ask(self, job: _Job, seconds: float, stop: Event) -> Any:
        self._pipe.send(job)
        last = time.monotonic() + seconds
        while not self._pipe.poll(max(0, min(STEP_SECONDS, last - time.monotonic()))):
            if stop.is_set():
                raise CancelledError
            if time.monotonic() >= last:
                raise TimeoutError
        return self._pipe.recv()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def end(self) -> None:
        self.kill()
        self._pipe.close()


def _serve(pipe: Any, work: Decode, memory_bytes: int) -> None:
    """The process: a result or an error for each job, until the pipe is closed."""
    for asked in (signal.SIGINT, signal.SIGTERM):  # a group's: they are for the app, which ends us
        signal.signal(asked, signal.SIG_IGN)
    Thread(target=_end_with_the_app, daemon=True).start()
    _limit_memory(memory_bytes)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # codecs complain there, file by file
    with suppress(EOFError, OSError):
        while True:
            job = pipe.recv()
            try:
                found: Any = work(*job)
            except Exception as error:  # for the thread that asked
                found = error.with_traceback(None)
            pipe.send(found)


def _end_with_the_app() -> None:
    """The pipe tells it only between two files."""
    if app := parent_process():
        app.join()
        os._exit(1)


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(ValueError, OSError):  # macOS takes no such limit
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
