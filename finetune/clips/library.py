"""A library of clips: shards of samples and one index that says what each clip is.

The samples lie as flat little-endian int16 at 16 kHz in `<shard>.i16`, a few hundred clips a
file, so that one clip is one seek and one read. `index.jsonl` has one row a clip and only grows,
a whole shard at a time: a reader may open it while the library is still being made. This module
does not know how clips are made.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

SAMPLE_RATE = 16_000
INDEX = "index.jsonl"
INT16 = np.dtype("<i2")

Split = Literal["train", "test", "human"]
Row = dict[str, Any]
"""What is known of a clip: see `plan.blank_row` for the fields."""


def open_library(folder: str | Path) -> list[Row]:
    """Read the rows of every finished shard; `file` becomes a path that `samples` can open."""
    folder = Path(folder)
    rows: dict[str, Row] = {}
    for line in (folder / INDEX).read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):  # the last line may still be on its way
            row = json.loads(line)
            rows[row["id"]] = {**row, "file": str(folder / row["file"])}
    return list(rows.values())


def samples(row: Row) -> np.ndarray:
    """The samples of a row of `open_library`: mono float32 at 16 kHz, between -1 and 1."""
    with Path(row["file"]).open("rb") as shard:
        shard.seek(row["offset"] * INT16.itemsize)
        data = shard.read(row["samples"] * INT16.itemsize)
    if len(data) != row["samples"] * INT16.itemsize:
        raise ValueError(f"{row['id']}: the shard {Path(row['file']).name} ends too early")
    return np.frombuffer(data, INT16).astype(np.float32) / 32768


def write_shard(folder: Path, name: str, clips: Iterable[tuple[Row, np.ndarray]]) -> list[Row]:
    """Write the clips' samples as one shard; returns their rows, ready for `append`."""
    rows, pieces, offset = [], [], 0
    for row, clip in clips:
        pieces.append((np.clip(clip, -1, 32767 / 32768) * 32768).astype(INT16))
        place = {"file": f"{name}.i16", "offset": offset, "samples": len(clip)}
        rows.append({**row, **place, "seconds": round(len(clip) / SAMPLE_RATE, 3)})
        offset += len(clip)
    unfinished = folder / f"{name}.part"
    unfinished.write_bytes(b"".join(piece.tobytes() for piece in pieces))
    unfinished.replace(folder / f"{name}.i16")
    return rows


def append(folder: Path, rows: list[Row]) -> None:
    """Add the rows of a finished shard to the index, in one write."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with (folder / INDEX).open("a", encoding="utf-8") as index:
        index.write(lines)


def finished_shards(folder: Path) -> set[str]:
    """Names of the shards in the index; drops a last line that a killed run left half written."""
    index = folder / INDEX
    if not index.exists():
        return set()
    lines = index.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        index.write_text("".join(lines[:-1]), encoding="utf-8")
        lines = lines[:-1]
    return {Path(json.loads(line)["file"]).stem for line in lines}
