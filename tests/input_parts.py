"""What an input is that is tried against the audio room, and what the tables share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.audio import Clip, Ear, Limits, Sandbox

Source = str | Path | bytes
OPEN = Limits(max_file_mb=2, allow_private_urls=True)
HASTY = Limits(max_file_mb=2, allow_private_urls=True, download_seconds=1)
RESTLESS = Limits(max_file_mb=2, allow_private_urls=True, stall_seconds=1)
LIVE = {"live": "1"}  # as a browser's recorder writes it: no length in the header


@dataclass(frozen=True)
class Input:
    """Something to hear: bytes, or what makes a path of a folder or a URL of a server."""

    title: str
    source: Source | Callable[[Any], Source]
    gets: str  # "heard", or the key of the error or of the only warning
    name: str | None = None
    limits: Limits = Limits()

    def hear(self, place: Path | str, sandbox: Sandbox | None = None) -> Clip:
        source = self.source(place) if callable(self.source) else self.source
        return Ear(self.limits, sandbox=sandbox).hear(source, self.name)


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]
