"""A batch as the page shows it: progress, table, score. Pure functions from values to HTML."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape

from demo.batch.rows import Row
from demo.batch.score import score
from demo.batch.work import Done
from demo.hearing.rules import clock
from demo.messages import Language, Message
from demo.ui.strings import SENTENCES
from demo.ui.tasks import TASKS

SHOWN_ROWS = 500
AHEAD_ROWS = 50  # that are shown after the last one that is done


@dataclass(frozen=True)
class Batch:
    """The rows of a visitor's batch, and what has come of them."""

    rows: tuple[Row, ...] = ()
    done: Mapping[int, Done] = field(default_factory=dict)
    task: str = TASKS[0]
    prompt: str = ""  # of every row that has none of its own

    def with_(self, done: Done) -> "Batch":
        return replace(self, done={**self.done, done.place: done})

    @property
    def left(self) -> dict[int, Row]:
        return {place: row for place, row in enumerate(self.rows) if place not in self.done}

    @property
    def replies(self) -> int:
        return len(self.done) - self.failed

    @property
    def failed(self) -> int:
        return sum(done.error is not None for done in self.done.values())


def progress(batch: Batch, language: Language, state: str = "") -> str:
    """The bar, and in words how far it is; `state` is what else is to be said."""
    if not batch.rows:
        return ""
    count = {"done": len(batch.done), "all": len(batch.rows)}
    said = [_say("batch_progress", language, **count)]
    if batch.failed:
        said.append(_say("batch_failed", language, failed=batch.failed))
    text = (" · ").join([*said, *([state] if state else [])])
    return (
        f'<div class="batch-progress"><progress value="{count["done"]}" max="{count["all"]}" '
        f'aria-label="{escape(said[0])}"></progress><p>{escape(text)}</p></div>'
    )


def time_left(batch: Batch, begun_with: int, seconds: float, language: Language) -> str:
    """How long the rest will take at the pace so far; "" where there is no pace yet.

    `begun_with` replies were there before these `seconds`; rows that fail take no time.
    """
    new = batch.replies - begun_with
    if new < 1 or not batch.left:
        return ""
    left = seconds / new * len(batch.left)
    if left < 55:
        return _say("batch_seconds", language, left=max(5, 5 * round(left / 5)))
    if left < 90 * 60:
        return _say("batch_minutes", language, left=round(left / 60))
    return _say("batch_hours", language, left=left / 3600)


def table(batch: Batch, language: Language) -> str:
    """The rows in their order, of a long batch those around the last that is done."""
    if not batch.rows:
        return ""
    end = max(SHOWN_ROWS, max(batch.done, default=0) + AHEAD_ROWS)
    shown = range(len(batch.rows))[max(0, min(end, len(batch.rows)) - SHOWN_ROWS) : end]
    known = any(row.gt for row in batch.rows)
    names = ["batch_clip", "batch_reply", *(["batch_gt"] if known else [])]
    heads = "".join(f'<th scope="col">{_say(name, language)}</th>' for name in names)
    body = "".join(_row(batch, place, known, language) for place in shown)
    caption = _say("batch_table", language)
    return (
        f'{_cut(batch, shown, language)}<table class="batch-table"><caption>{caption}</caption>'
        f'<thead><tr><th scope="col">#</th>{heads}</tr></thead><tbody>{body}</tbody></table>'
    )


def scored(batch: Batch, language: Language) -> str:
    """How right the replies are, where rows say what they should be."""
    done = (one for one in batch.done.values() if one.error is None)
    found = score([(one.row.gt, one.reply) for one in done if one.row.gt], batch.task)
    if found is None:
        return ""
    text = _say(f"batch_{found.metric}", language, value=found.value, rows=found.rows)
    return f'<p class="batch-score">{escape(text)}</p>'


def _cut(batch: Batch, shown: range, language: Language) -> str:
    if len(shown) == len(batch.rows):
        return ""
    ends = {"first": shown.start + 1, "last": shown.stop, "all": len(batch.rows)}
    return f'<p class="small">{_say("batch_some", language, **ends)}</p>'


def _row(batch: Batch, place: int, known: bool, language: Language) -> str:
    row, done = batch.rows[place], batch.done.get(place)
    length = clock(done.seconds) if done and done.seconds is not None else ""
    asked = f"<small>{escape(row.prompt)}</small>" if row.prompt != batch.prompt else ""
    head = _say("batch_gt", language)  # said beside it on a phone, whose table has no head
    gt = f'<td class="gt" data-head="{head}">{escape(row.gt or "")}</td>' if known else ""
    return (
        f'<tr><td class="place">{place + 1}</td><th scope="row">{escape(row.name)}'
        f"<small>{length}</small>{asked}</th>{_reply(done, language)}{gt}</tr>"
    )


def _reply(done: Done | None, language: Language) -> str:
    if done is None:
        return f'<td class="quiet">{_say("batch_waiting", language)}</td>'
    if done.error:
        return f'<td class="problem">{escape(done.error.say(language))}</td>'
    if not done.reply.strip():
        return f'<td class="quiet">{_say("batch_silent", language)}</td>'
    return f"<td>{escape(done.reply.strip())}</td>"


def _say(key: str, language: Language, **values: object) -> str:
    return Message(SENTENCES, key, **values).say(language)
