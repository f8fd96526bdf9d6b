"""Decodes in processes of their own: what a file does to a codec ends one request and no more.

Each process has a limit of memory and each file one of time; a process that dies or takes too
long is replaced. It knows nothing of sound: what decodes is a function that it is given.
"""

import io
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from queue import LifoQueue
from typing import Any

from demo.hearing.decode import Sound, decode
from demo.hearing.rules import AudioError, Limits
from demo.messages import Sentences

WORKERS = min(4, os.cpu_count() or 1)
SECONDS = 60.0  # for one file: a hundred times what ten minutes of mp3 take
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
        self._free: LifoQueue[_Worker | None] = LifoQueue()  # None: one may be started
        for _ in range(workers):
            self._free.put(None)
        self._workers = workers

    def decode(self, source: Source, name: str, limits: Limits) -> Sound:
        """What `work` makes of a file.

        Raises:
            AudioError: what `work` raises, or the file took too much time or memory, or ended the
                process.
        """
        worker = self._free.get()
        try:
            worker = worker or _Worker(self._work, self._memory_bytes)
            found = worker.ask((source, name, limits), self._seconds)
        except TimeoutError:
            worker = _ended(worker)
            raise SandboxError("too_slow", name=name, limit=self._seconds) from None
        except (EOFError, OSError):
            worker = _ended(worker)
            raise SandboxError("crashed", name=name) from None
        finally:
            self._free.put(worker)
        if isinstance(found, MemoryError):
            raise SandboxError("too_much_memory", name=name)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Ends the processes, once each is done with its file."""
        for _ in range(self._workers):
            self._free.put(_ended(self._free.get()))


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

    def ask(self, job: tuple[Source, str, Limits], seconds: float) -> Any:
        self._pipe.send(job)
        if not self._pipe.poll(seconds):
            raise TimeoutError
        return self._pipe.recv()

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self._pipe.close()


def _ended(worker: _Worker | None) -> None:
    if worker:
        worker.end()


def _serve(pipe: Any, work: Decode, memory_bytes: int) -> None:
    """The process: a result or an error for each job, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which ends us
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


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(ValueError, OSError):  # macOS takes no such limit
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
