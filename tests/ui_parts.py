"""An engine for the page's own functions."""

from collections.abc import Iterator
from typing import Any

from demo.engine import EngineInfo, Load, Options


class Parrot:
    """An engine that says what it was given, and notes when its work was ended."""

    info = EngineInfo("parrot", "cpu", "float32", 8192, True, Options(64, 0.7, 0.5, 20, 1.1))

    def __init__(self) -> None:
        self.ended = False

    def stream(
        self, conversation: Any, windows: Any, options: Options, user: str = ""
    ) -> Iterator[str]:
        try:
            yield from ("", f"{len(windows)} sounds, ", "", f"{len(conversation)} turns")
        finally:
            self.ended = True

    def prepare(self, conversation: Any, windows: Any) -> None: ...

    def memory(self) -> None: ...

    def load(self) -> Load:
        return Load(0, 0)

    def close(self) -> None: ...
