"""What a person names in a terminal -> the rows of a batch: files, folders, URLs, manifests."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from demo.addresses import is_url
from demo.batch.manifest import is_manifest, read
from demo.batch.rows import Row
from demo.batch.rules import BatchError

SOUNDS = (".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".webm", ".aif",
          ".aiff", ".aifc", ".au", ".caf", ".amr", ".wma", ".mka", ".mp4", ".mov", ".mkv",
          ".avi")  # fmt: skip


def collect(named: Sequence[str], prompt: str) -> list[Row]:
    """The rows of all that is named, in its order.

    Raises:
        BatchError: there is none, or a manifest is no manifest.
    """
    rows = [row for name in named for row in _rows(name, prompt)]
    if not rows:
        raise BatchError("nothing")
    return rows


def is_sound(path: Path) -> bool:
    """Whether a file in a folder is meant: a sound by its name, and not a hidden one."""
    return path.suffix.lower() in SOUNDS and not path.name.startswith(".")


def _rows(named: str, prompt: str) -> Iterator[Row]:
    path = Path(named).expanduser()
    if is_url(named):
        yield Row(named, prompt, named=named)
    elif path.is_dir():
        yield from (Row(str(one), prompt, named=str(one)) for one in _within(path))
    elif is_manifest(path):
        yield from read(path, prompt, lambda audio: _beside(path, audio))
    else:
        yield Row(str(path), prompt, named=named)


def _within(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if is_sound(path) and path.is_file())


def _beside(manifest: Path, audio: str) -> str:
    """A manifest's paths begin at its own folder."""
    return audio if is_url(audio) else str(manifest.parent / Path(audio).expanduser())
