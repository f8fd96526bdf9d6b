"""Features of many clips, kept on disk in float16 so that each clip is encoded once.

One flat file that only grows, and an index beside it; a killed run loses its last batch at most.
"""

import json
from pathlib import Path

import numpy as np
import torch

NUMBERS = "features.f16"
INDEX = "features.jsonl"


class FeatureStore:
    """A dictionary of (frames, width) arrays by key, on disk."""

    def __init__(self, folder: Path, width: int, frames_per_token: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.width, self.frames_per_token = folder, width, frames_per_token
        self.places: dict[str, tuple[int, int]] = dict(_read_index(folder / INDEX))
        self.end = max((start + frames for start, frames in self.places.values()), default=0)

    def __contains__(self, key: str) -> bool:
        return key in self.places

    def __getitem__(self, key: str) -> np.ndarray:
        start, frames = self.places[key]
        row_bytes = 2 * self.width
        with (self.folder / NUMBERS).open("rb") as file:
            file.seek(start * row_bytes)
            data = file.read(frames * row_bytes)
        return np.frombuffer(data, np.float16).reshape(frames, self.width)

    def variant(self, key: str) -> np.ndarray:
        """A clip as it is or as one of its variants, drawn by torch's generator."""
        count = 1
        while variant_key(key, count) in self.places:
            count += 1
        return self[variant_key(key, int(torch.randint(count, ())))]

    def tokens(self, key: str) -> int:
        """How many audio tokens the model makes of these frames."""
        return self.places[key][1] // self.frames_per_token

    def add(self, keys: list[str], arrays: list[np.ndarray]) -> None:
        """Append new arrays, the numbers before the index that speaks of them."""
        with (self.folder / NUMBERS).open("ab") as file:
            file.truncate(self.end * 2 * self.width)  # what a killed run left half written
            file.write(b"".join(array.astype(np.float16).tobytes() for array in arrays))
        lines = []
        for key, array in zip(keys, arrays, strict=True):
            self.places[key] = (self.end, len(array))
            lines.append(json.dumps([key, self.end, len(array)]) + "\n")
            self.end += len(array)
        with (self.folder / INDEX).open("a", encoding="utf-8") as index:
            index.write("".join(lines))


def variant_key(key: str, number: int) -> str:
    """The key of a clip's variant; number 0 is the clip itself."""
    return f"{key}~{number}" if number else key


def _read_index(path: Path):
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            key, start, frames = json.loads(line)
            yield key, (start, frames)
