"""What a run says at its end: a table, in Markdown, and everything once more as one JSON line.

Each group's own result stands above what was published for it, with the difference. This module
computes nothing and opens no file but the table of what was published.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eval_audio.metrics import Estimate
from eval_audio.published import Published

HEAD = "| source | system | metric | result | 95% | ours − theirs | rows | left out |"
RULE = "|---|---|---|---|---|---|---|---|"
OURS = "**this run**"


@dataclass(frozen=True)
class Group:
    """The result of the rows of one source, and what was published for it."""

    source: str
    metric: str
    estimate: Estimate
    scored: int  # rows that are in the result
    left_out: int  # rows that are not
    published: Sequence[Published]


def table(groups: Iterable[Group]) -> str:
    return "\n".join([HEAD, RULE, *(line for group in groups for line in _lines(group))])


def notes(task: str, rows: int, errors: int, long_clips: int, scored: int) -> list[str]:
    """What a reader of the table is to know of the rows."""
    found: list[str] = []
    if errors:
        found.append(f"{errors} of {rows} rows had an error and are not scored: predictions.jsonl.")
    if long_clips:
        way = "one after the other" if task in ("asr", "s2tt") else "together in one prompt"
        found.append(f"{long_clips} clips of over 30 s were heard by windows, {way}.")
    if unjudged := rows - errors - scored:
        why = "judgements.jsonl says why where a judge was asked; else see --help on judges"
        found.append(f"{unjudged} answers have no judgement: {why}.")
    return found


def _lines(group: Group) -> list[str]:
    name, ours = group.metric, group.estimate
    between = " to ".join(filter(None, (_number(ours.low, name), _number(ours.high, name))))
    mine = f"| {group.source} | {OURS} | {name} | {_number(ours.value, name)} | {between} |"
    lines = [f"{mine} | {group.scored} | {group.left_out} |"]
    for one in group.published:
        theirs, difference = _number(one.value, name), _number(ours.value - one.value, name, "+")
        lines.append(f"| | {one.system} | {one.metric} | {theirs} | | {difference} | | |")
    return lines


def _number(value: float, metric: str, sign: str = "") -> str:
    """With the digits that the published table has, or one more; nothing where it is none."""
    if math.isnan(value):
        return ""
    return f"{value:{sign}.4f}" if metric == "accuracy" else f"{value:{sign}.2f}"


def as_json(groups: Iterable[Group]) -> list[dict[str, Any]]:
    return [
        {
            "source": group.source,
            "metric": group.metric,
            "value": _known(group.estimate.value),
            "low": _known(group.estimate.low),
            "high": _known(group.estimate.high),
            "scored": group.scored,
            "left_out": group.left_out,
            "published": [_compared(one, group.estimate.value) for one in group.published],
        }
        for group in groups
    ]


def _compared(one: Published, ours: float) -> dict[str, Any]:
    known = {"system": one.system, "value": one.value, "origin": one.origin}
    return known | {"difference": _known(ours - one.value)}


def _known(value: float) -> float | None:
    """JSON has no nan."""
    return None if math.isnan(value) else round(value, 6)
