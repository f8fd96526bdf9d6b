"""Conversations on disk: JSON lines, each `{"messages": [turns]}` in the model card's form.

An `audio_url` is a URL or a path, absolute or from the manifest's own folder.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch.utils.data import Dataset

from finetune.rendering import Conversation, audio_parts

OUTSIDE = ("http:", "https:", "data:")


def located(url: str, folder: Path) -> str | Path:
    """Where a clip of a manifest in `folder` is."""
    return url if url.startswith(OUTSIDE) else folder / url


def moved(url: str, before: Path, after: Path) -> str:
    """A clip's `audio_url` in a manifest in one folder, for a manifest in another."""
    if url.startswith(OUTSIDE) or Path(url).is_absolute():
        return url
    return Path(os.path.relpath(before.resolve() / url, after.resolve())).as_posix()


def write_manifest(path: Path, conversations: Iterable[Conversation]) -> None:
    """Write all of them, or nothing."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8") as file:
        for conversation in conversations:
            file.write(json.dumps({"messages": conversation}, ensure_ascii=False) + "\n")
    unfinished.replace(path)


class Manifest(Dataset[Conversation]):
    """The conversations of a file, parsed when they are asked for."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").split("\n")  # JSON may hold other line ends
        self.lines = [line for line in lines if line]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int) -> Conversation:
        row = json.loads(self.lines[index])
        return row.get("messages") or row["conversation"]

    def __iter__(self) -> Iterator[Conversation]:
        return (self[index] for index in range(len(self)))

    def clips(self) -> Iterator[str]:
        """The URL of every clip that is spoken of, each once, in the order of the file."""
        seen: set[str] = set()
        for conversation in self:
            for part in audio_parts(conversation):
                if part["audio_url"] not in seen:
                    seen.add(part["audio_url"])
                    yield part["audio_url"]
