"""Replies on Hugging Face's ZeroGPU, where each request gets a GPU in a process forked for it.

An Event of this process never reaches that one; closing the generator does. So the whole reply
is made there by a plain generator, with its own inference thread, and ended by closing it.

ZeroGPU wants its functions and the weights known when the app is launched: there, wait for the
engine before `launch()`. Its package is imported before torch, which it patches.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from threading import Semaphore
from typing import Any

import numpy as np

from demo.engine import Conversation, EngineError, Load, Memory, Options
from demo.local import LocalEngine
from demo.streaming import IN_LINE_SECONDS

GPU_SECONDS = 90  # the longest that one reply may hold the GPU
AT_ONCE = 1  # replies; ZeroGPU itself decides who gets a card, and when

Make = Callable[[Conversation, list[np.ndarray], Options], Iterator[str | EngineError]]


def on_gpu(make: Make) -> Any:
    """`make` under ZeroGPU's decorator."""
    import spaces  # pyright: ignore[reportMissingImports]  (only there)

    return spaces.GPU(make, duration=GPU_SECONDS)


class ForkingEngine:
    """A `LocalEngine` whose replies are made in forked processes; `decorate` does the forking."""

    def __init__(self, engine: LocalEngine, decorate: Callable[[Make], Any] = on_gpu) -> None:
        self.info = engine.info
        self._engine = engine
        self._free = Semaphore(AT_ONCE)

        def make(
            conversation: Conversation, windows: list[np.ndarray], options: Options
        ) -> Iterator[str | EngineError]:
            with closing(engine.twin()) as twin:
                try:
                    yield from twin.stream(conversation, windows, options)
                except EngineError as error:  # a raised one would arrive without its sentence
                    yield error

        self._make = decorate(make)

    def stream(
        self,
        conversation: Conversation,
        windows: Sequence[np.ndarray],
        options: Options,
        user: str = "",
    ) -> Iterator[str]:
        self._engine.check(conversation, windows, options)  # before a GPU is asked for
        while not self._free.acquire(timeout=IN_LINE_SECONDS):
            yield ""
        try:
            yield from self._forked(conversation, list(windows), options)
        finally:
            self._free.release()

    def _forked(
        self, conversation: Conversation, windows: list[np.ndarray], options: Options
    ) -> Iterator[str]:
        with closing(self._make(conversation, windows, options)) as pieces:
            for piece in pieces:
                if isinstance(piece, EngineError):
                    raise piece
                yield piece

    def prepare(self, conversation: Conversation, windows: Sequence[np.ndarray]) -> None:
        """Does nothing: what a forked process prepares ends with it."""

    def memory(self) -> Memory:
        return self._engine.memory()

    def load(self) -> Load:
        return self._engine.load()

    def close(self) -> None:
        self._engine.close()
