"""Predictions on disk: JSON lines that only grow, so that a killed run loses what was on its way.

The first process writes `predictions.jsonl`, each other one of its own part beside it; `gather`
makes one file of them in the manifest's order. A last line that a kill left half written is cut
off. This module knows rows and files, and no models.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval_audio.manifest import EvalError, Row

NAME = "predictions.jsonl"
PART = "predictions.part-{}.jsonl"
RUN = "run.json"

Prediction = dict[str, Any]
"""`row`, `source`, and `response` or `error`; with `audio`, `prompt`, `gt`, `windows`."""


class Store:
    """The predictions of one run in one folder, as one of its processes sees them."""

    def __init__(self, folder: Path, process: int = 0) -> None:
        self.folder = folder
        self.path = folder / (PART.format(process) if process else NAME)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvalError(f"{folder.name} cannot be a folder: {error.strerror}.") from error
        cut_half_line(self.path)

    def require_same(self, run: Mapping[str, Any]) -> None:
        """Raises EvalError where the folder holds predictions that were made another way."""
        kept = next(lines(self.folder / RUN), run)
        for key, value in run.items():
            if kept.get(key) != value:
                raise EvalError(
                    f"{self.folder.name} holds predictions of another run: {key} was "
                    f"{kept.get(key)!r} and is {value!r} now. Choose another --output."
                )

    def sign(self, run: Mapping[str, Any]) -> None:
        """Say of what run the predictions in this folder are."""
        write_lines(self.folder / RUN, [run], "w")

    def done(self, rows: Iterable[Row]) -> dict[int, Prediction]:
        """What was answered before, by row; a row that had an error is asked again."""
        wanted = {row.number: row for row in rows}
        return {
            found["row"]: found
            for found in self._all()
            if "response" in found and _is_of(found, wanted.get(found["row"]))
        }

    def append(self, predictions: Iterable[Prediction]) -> None:
        write_lines(self.path, predictions, "a")

    def gather(self, rows: Sequence[Row], others: Iterable[Prediction]) -> list[Prediction]:
        """The predictions of `rows` and `others` as one file, sorted by row; parts are removed."""
        wanted = {row.number: row for row in rows}
        found: dict[int, Prediction] = {}
        for prediction in self._all():
            if not _is_of(prediction, wanted.get(prediction["row"])):
                continue
            if "response" in prediction or prediction["row"] not in found:
                found[prediction["row"]] = prediction
        everything = sorted([*found.values(), *others], key=lambda one: one["row"])
        unfinished = self.folder / (NAME + ".part")
        write_lines(unfinished, everything, "w")
        unfinished.replace(self.folder / NAME)
        for part in self._parts():
            part.unlink()
        return everything

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob(PART.format("*")))

    def _all(self) -> Iterator[Prediction]:
        for path in (self.folder / NAME, *self._parts()):
            yield from (found for found in lines(path) if isinstance(found.get("row"), int))


def _is_of(prediction: Prediction, row: Row | None) -> bool:
    """Whether the prediction is of this row, and not of what stood there in another manifest."""
    if row is None:
        return False
    return (prediction.get("audio"), prediction.get("prompt")) == (row.audio, row.prompt)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; what is no whole line of JSON is left out."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def write_lines(path: Path, objects: Iterable[Mapping[str, Any]], mode: str) -> None:
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)
    with path.open(mode, encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(text)


def cut_half_line(path: Path) -> None:
    """Drop a last line without its end, so that the next one begins on a line of its own."""
    if path.exists():
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)
