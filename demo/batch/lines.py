"""Done rows as JSON and CSV: one form for the page's downloads, the API and a terminal's file."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from demo.batch.work import Done
from demo.messages import Language

COLUMNS: tuple[str, ...] = ("audio", "prompt", "reply", "gt", "seconds", "error", "model")
SECONDS_DIGITS = 2


def as_json(done: Done, model: str, language: Language = "en") -> dict[str, Any]:
    """What is told of a row; `gt` and `error` only where there is one."""
    values = {
        "audio": done.row.named or done.row.name,
        "prompt": done.row.prompt,
        "reply": done.reply,
        "gt": done.row.gt,
        "seconds": None if done.seconds is None else round(done.seconds, SECONDS_DIGITS),
        "error": done.error.say(language) if done.error else None,
        "model": model,
    }
    return {name: values[name] for name in COLUMNS if values[name] is not None}


def as_line(told: dict[str, Any]) -> str:
    """Names of files that are not UTF-8 are told by escapes, which reading undoes."""
    line = json.dumps(told, ensure_ascii=False)
    plain = line.encode(errors="replace").decode() == line
    return (line if plain else json.dumps(told)) + "\n"


def as_lines(told: Iterable[dict[str, Any]]) -> str:
    return "".join(map(as_line, told))


def as_csv(told: Sequence[dict[str, Any]]) -> str:
    """A table with a mark at its start, by which spreadsheets know that it is UTF-8."""
    file = io.StringIO(newline="")
    table = csv.DictWriter(file, COLUMNS)
    table.writeheader()
    table.writerows({name: _plain(value) for name, value in one.items()} for one in told)
    return "\ufeff" + file.getvalue()


def _plain(value: Any) -> Any:
    """Text that a spreadsheet does not take for a formula, whoever wrote it."""
    risky = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if risky else value
