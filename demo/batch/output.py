"""The output file of a batch in a terminal: JSON lines that a killed run can go on with.

A row's line is written whole as soon as the row is done. What a kill left half written is cut
off; rows that failed are tried again; lines of other rows or of another model stay.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo.batch.lines import as_json, as_line, as_lines
from demo.batch.rows import Row
from demo.batch.rules import BatchError
from demo.batch.work import Done
from demo.turns import short

Told = dict[str, Any]


class Output:
    """One output file, for the rows of one batch and one model."""

    def __init__(self, file: Path, rows: Sequence[Row], model: str) -> None:
        """Reads what is there already.

        Raises:
            BatchError: the file is something else, or cannot be written.
        """
        self._file, self._rows, self._model = file, rows, model
        self._others: list[Told] = []
        self.told: dict[int, Told] = {}  # by the rows' places
        self._read()
        self._write([*self._others, *self.told.values()])

    @property
    def left(self) -> Mapping[int, Row]:
        """The rows that have no reply yet, by their places."""
        return {place: row for place, row in enumerate(self._rows) if not self._replied(place)}

    @property
    def failed(self) -> int:
        return sum("error" in told for told in self.told.values())

    def add(self, done: Done) -> None:
        self.told[done.place] = as_json(done, self._model)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(as_line(self.told[done.place]))

    def finish(self) -> None:
        """Puts the lines into the order of the rows."""
        self._write([*self._others, *(self.told[place] for place in sorted(self.told))])

    def _replied(self, place: int) -> bool:
        return place in self.told and "error" not in self.told[place]

    def _read(self) -> None:
        places: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        for place in reversed(range(len(self._rows))):
            row = self._rows[place]
            places[row.named or row.name, row.prompt, self._model].append(place)
        for told in self._lines():
            same = places[told["audio"], told["prompt"], told["model"]]
            if "error" in told and same:
                continue  # it is tried again
            if same:
                self.told[same.pop()] = told
            else:
                self._others.append(told)

    def _lines(self) -> list[Told]:
        """The whole lines of the file; the last one may have been left half written."""
        try:
            *whole, _ = self._file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unwritable(error) from error
        return [self._line(number, line) for number, line in enumerate(whole, 1)]

    def _line(self, number: int, line: bytes) -> Told:
        try:
            match json.loads(line):
                case {"audio": str(), "prompt": str(), "reply": str(), "model": str()} as told:
                    return told
        except ValueError:
            pass
        shown = short(line.decode(errors="replace"))
        raise BatchError("output_line", name=self._file.name, line=number, value=shown)

    def _write(self, lines: Sequence[Told]) -> None:
        """All of the file anew, so that a kill leaves either the old or the new one."""
        draft = self._file.with_name(f".{self._file.name}.part")
        try:
            draft.write_text(as_lines(lines), encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> BatchError:
        return BatchError("output", name=self._file.name, reason=error.strerror)
