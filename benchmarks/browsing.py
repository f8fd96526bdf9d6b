"""The app around a timed engine, and a visitor at its page: what `benchmarks.page` measures on."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, cast

import numpy as np
from playwright.sync_api import Browser
from starlette.middleware import Middleware

from demo.audio import Ear
from demo.engine import Conversation, Load, Memory, Options
from demo.loading import Loading
from demo.local import LocalEngine
from demo.messages import Message
from demo.owners import Owners
from demo.settings import Settings
from demo.ui.clips import uploads
from demo.ui.look import launch_options
from demo.ui.page import build_page
from tests.visitor import Visitor


class Timed:
    """An engine that notes how its streams go; `ahead` lets it work before send."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine, self.info, self.ahead = engine, engine.info, True
        self.first = 0.0  # seconds from the call to the first piece
        self.pieces = 0  # that the last stream has given
        self.said = ""

    def stream(
        self,
        conversation: Conversation,
        windows: Sequence[np.ndarray],
        options: Options,
        user: str = "",
    ) -> Iterator[str]:
        start, self.pieces = time.perf_counter(), 0
        stream = cast(Any, self.engine.stream(conversation, windows, options, user))
        self.said = ""
        with closing(stream) as pieces:
            for piece in pieces:
                if piece and not self.pieces:
                    self.first = time.perf_counter() - start
                self.pieces += bool(piece)
                self.said += piece
                yield piece

    def prepare(self, conversation: Conversation, windows: Sequence[np.ndarray]) -> None:
        if self.ahead:
            self.engine.prepare(conversation, windows)

    def memory(self) -> Memory:
        return self.engine.memory()

    def load(self) -> Load:
        return self.engine.load()

    def close(self) -> None:
        self.engine.close()


@contextmanager
def served(engine: Timed) -> Iterator[str]:
    """The app's page around `engine`, on a free port."""
    settings = Settings()
    notice = Message({"n": ("Benchmark.", "基准测试。")}, "n")
    page = build_page(Loading.of(engine), Ear(), settings, notice).queue()
    own = {"middleware": [Middleware(Owners, clips=uploads())]}
    options = launch_options(settings)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, app_kwargs=own, **options)
    try:
        yield url
    finally:
        page.close(verbose=False)


@contextmanager
def visiting(browser: Browser, url: str, new: int) -> Iterator[Visitor]:
    """A visitor at the analysis tab, with greedy replies of `new` tokens."""
    visitor = Visitor(browser, url)
    visitor.open("analysis")
    visitor.set_options(temperature="0", repetition_penalty="1", max_new_tokens=str(new))
    yield visitor
    visitor.close()
