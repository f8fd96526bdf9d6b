"""Reads a manifest: JSON lines or CSV with `audio`, and optionally `prompt` and `gt`.

The original project's own manifests are such files; what else stands in a line is left alone.
Where a clip lies is for the caller to say: it knows folders, or what was uploaded.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from demo.batch.rows import Row, checked, require_few
from demo.batch.rules import BatchError
from demo.hearing.rules import MEGABYTE
from demo.messages import UserError
from demo.turns import short

JSON_LINES = (".jsonl", ".ndjson", ".json")
ROW_BYTES = 2000  # of a manifest, on average
MANIFESTS = (*JSON_LINES, ".csv", ".tsv")

Find = Callable[[str], str]
"""Where the clip lies that a manifest names; raises a UserError where it is not to be had."""


def is_manifest(path: str | Path) -> bool:
    return Path(path).suffix.lower() in MANIFESTS


def read(path: Path, prompt: str, find: Find, most: int | None = None) -> list[Row]:
    """The rows of a manifest; `prompt` is asked where a line has none of its own.

    A clip that `find` cannot find is a row with its problem. Where `most` is given, there may be so
    many rows, of two thousand bytes each.

    Raises:
        BatchError: the file is no manifest, with the line and what is wrong there.
    """
    if most is not None and path.stat().st_size > most * ROW_BYTES:
        raise BatchError("too_large", name=path.name, limit=most * ROW_BYTES / MEGABYTE)
    text = _text(path)
    lines = _json_lines if path.suffix.lower() in JSON_LINES else _table
    rows: list[Row] = []
    for number, line in lines(path, text):
        rows.append(_row(path.name, number, line, prompt, find))
        require_few(rows, most)
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # a spreadsheet's CSV begins with a mark
    except UnicodeDecodeError as error:
        raise BatchError("not_text", name=path.name) from error
    except OSError as error:
        raise BatchError("unreadable", name=path.name, reason=error.strerror) from error


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = line
        if not isinstance(value, dict) or "audio" not in value:
            raise BatchError("line", name=path.name, line=number, value=short(value))
        yield number, value


def _table(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    mark = "\t" if path.suffix.lower() == ".tsv" else ","
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        if "audio" not in (table.fieldnames or []):
            raise BatchError("column", name=path.name)
        for line in table:
            yield table.line_num, line
    except csv.Error as error:
        raise BatchError("unreadable", name=path.name, reason=str(error)) from error


def _row(name: str, number: int, line: dict[str, Any], prompt: str, find: Find) -> Row:
    fields = {field: line.get(field) for field in ("audio", "prompt", "gt")}
    for field, value in fields.items():
        if value is not None and not isinstance(value, str):
            raise BatchError("field", name=name, line=number, field=field, value=short(value))
    named, own, gt = fields.values()
    if not named or not named.strip():
        raise BatchError("audio", name=name, line=number)
    words, problem, path = own or prompt, None, named
    try:
        words = checked(words)
        path = find(named)
    except UserError as error:
        problem = error.with_traceback(None)  # which would hold on to all that is read
    return Row(path, words, gt or None, named, problem)
