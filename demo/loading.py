"""An engine on its way: built in a background thread while the page is already open.

It knows no torch: what is built, and how, is the function that it is given, which reports how
far it is. Every report is printed on the terminal once and kept for the page.
"""

import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from demo.engine import Engine, EngineError, Memory
from demo.messages import Message, Sentences, size

Phase = Literal["download", "load", "warmup", "ready", "failed"]
PRINT_STEP = 0.05  # of a download, between two lines on the terminal

SENTENCES: Sentences = {
    "starting": ("Starting …", "正在启动……"),
    "ready": ("{model} is ready, on {device} in {dtype}.", "{model} 已就绪（{device}，{dtype}）。"),
    "ready_there": ("{model} is ready, on {device}.", "{model} 已就绪（{device}）。"),
    "memory": (
        "Memory: {weights} for the weights, up to {clips} for clips heard and {conversations} for "
        "conversations.",
        "内存：权重 {weights}，已听音频最多 {clips}，对话最多 {conversations}。",
    ),
    "still_loading": (
        "The model is not ready yet: {state} Please try again in a moment.",
        "模型尚未就绪：{state} 请稍后再试。",
    ),
    "broken": (
        "The model could not be started ({error}); the terminal shows the details.",
        "模型无法启动（{error}）；详情见终端。",
    ),
}


@dataclass(frozen=True)
class Status:
    """Where a loading engine stands; `fraction` of the phase, None where it is not known."""

    phase: Phase
    fraction: float | None
    text: Message


Report = Callable[[Status], None]


class LoadingError(EngineError):
    """The engine is not there (yet)."""

    sentences = SENTENCES


class Loading:
    """Builds an engine in the background; the page asks `status()` and `wait()`s for it."""

    def __init__(self, load: Callable[[Report], Engine]) -> None:
        self._load = load
        self._status = Status("load", None, Message(SENTENCES, "starting"))
        self._printed: Status | None = None
        self._engine: Engine | None = None
        self._error: EngineError | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)

    @classmethod
    def of(cls, engine: Engine) -> "Loading":
        """A loading that is already done, for an engine at hand."""
        loading = cls(lambda report: engine)
        loading._run()
        return loading

    def start(self) -> "Loading":
        self._thread.start()
        return self

    def status(self) -> Status:
        return self._status

    def wait(self, timeout: float | None = None) -> Engine:
        """The engine, as soon as it is ready.

        Raises:
            EngineError: loading failed, or took longer than `timeout` seconds.
        """
        self._done.wait(timeout)
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._engine is None:
            raise LoadingError("still_loading", state=self._status.text)
        return self._engine

    def engine(self) -> Engine | None:
        """The engine, if it is there by now."""
        return self._engine

    def report(self, status: Status) -> None:
        """Keeps `status` for the page, and prints it where the terminal has not read it yet."""
        self._status = status
        if _is_news(status, self._printed):
            print(status.text, file=sys.stderr, flush=True)
            self._printed = status

    @property
    def under_way(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Closes the engine if there is one by now."""
        if self._engine is not None:
            self._engine.close()

    def _run(self) -> None:
        try:
            self._engine = engine = self._load(self.report)
            info = engine.info
            values = {"model": info.model, "device": info.device, "dtype": info.dtype}
            text = Message(SENTENCES, "ready" if info.dtype else "ready_there", **values)
            self.report(Status("ready", 1.0, text))
            _tell_memory(engine.memory())
        except EngineError as error:
            self._fail(error)
        except Exception as error:  # at the thread's edge: a page that waits must hear of it
            traceback.print_exc()
            self._fail(LoadingError("broken", error=f"{type(error).__name__}: {error}"))
        finally:
            self._done.set()

    def _fail(self, error: EngineError) -> None:
        self._error = error
        self.report(Status("failed", None, error.message))


def _tell_memory(memory: Memory | None) -> None:
    """The terminal's line on what the engine takes; none where it runs elsewhere."""
    if memory is None:
        return
    values = {
        "weights": size(memory.weights),
        "clips": size(memory.budgets.clips),
        "conversations": size(memory.budgets.conversations),
    }
    print(Message(SENTENCES, "memory", **values), file=sys.stderr, flush=True)


def _is_news(status: Status, printed: Status | None) -> bool:
    """Whether the terminal should have a line on it: a bar of 100 lines helps nobody."""
    if printed is None or status.phase != printed.phase:
        return True
    if status.fraction is None or printed.fraction is None:
        return str(status.text) != str(printed.text)
    return status.fraction - printed.fraction >= PRINT_STEP or status.fraction == 1.0
