"""Predictions -> the result of each source, beside what was published for it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval_audio.judging import Question, counts, mean_of_halves
from eval_audio.manifest import Compared, EvalError, Row, Task
from eval_audio.metrics import NONE, Metric, estimate, metric_for
from eval_audio.published import beside
from eval_audio.report import Group
from eval_audio.store import Prediction

CODE = re.compile(r"[a-z]{2,3}")
JUDGED = "judge's score"


@dataclass(frozen=True)
class Bootstrap:
    """How often rows are drawn again, and by what luck."""

    resamples: int
    seed: int


def languages_of(task: Task, rows: Iterable[Row], language: str | None) -> dict[str, str]:
    """The language of the replies in each source: what was asked for, or what its name says.

    A translation's source is named as the original project names it: `covost2_en_zh_test` is into
    `zh`.

    Raises:
        EvalError: it must be known and is not.
    """
    sources = {row.source for row in rows}
    if language is not None:
        code = language.lower().partition("-")[0]
        if not CODE.fullmatch(code):
            raise EvalError(f"--language {language} is no code of a language, such as en or zh.")
        return dict.fromkeys(sources, code)
    if task == "asr":
        raise EvalError("Give --language, such as en or zh: words are counted by its rules.")
    return {source: _target(source) for source in sources} if task == "s2tt" else {}


def _target(source: str) -> str:
    parts = source.split("_")
    if len(parts) < 3 or not CODE.fullmatch(parts[-2]):
        raise EvalError(f"What {source} is translated into is not known: give --language.")
    return parts[-2]


def metrics_of(task: Compared, languages: Mapping[str, str]) -> Callable[[str], Metric]:
    """The metric of a source; those of one language share one, whose tables are read once.

    Raises:
        EvalError: a language's tokenizer is not installed.
    """
    made = {code: metric_for(task, code) for code in {*languages.values(), "en"}}
    return lambda source: made[languages.get(source, "en")]


def compared(
    task: Compared,
    manifest: str,
    predictions: Sequence[Prediction],
    metric_of: Callable[[str], Metric],
    luck: Bootstrap,
) -> list[Group]:
    """The result of each source, in their order in the manifest."""
    groups: list[Group] = []
    for source, rows in _by(predictions, lambda row: row["source"]).items():
        metric = metric_of(source)
        whole = [row for row in rows if "response" in row]
        pairs = [row["gt"] for row in whole], [row["response"] for row in whole]
        found = estimate(metric.counts(*pairs), metric.value, luck.resamples, luck.seed)
        theirs = beside(task, manifest, source)
        errors = len(rows) - len(whole)
        groups.append(Group(source, metric.name, found, len(whole), errors, theirs))
    return groups


def judged(
    manifest: str,
    predictions: Sequence[Prediction],
    questions: Mapping[int, Question],
    scores: Mapping[int, float],
    luck: Bootstrap,
) -> list[Group]:
    """The result of each of AIR-Bench's groups; a row without a score is left out of it."""

    def group(row: Prediction) -> str:
        question = questions.get(row["row"])
        return question.group if question else row["source"]

    groups: list[Group] = []
    for source, rows in _by(predictions, group).items():
        whole = [
            (questions[row["row"]], scores[row["row"]]) for row in rows if row["row"] in scores
        ]
        found = NONE
        if whole:
            found = estimate(counts(whole), mean_of_halves, luck.resamples, luck.seed)
        theirs = beside("chat", manifest, source)
        groups.append(Group(source, JUDGED, found, len(whole), len(rows) - len(whole), theirs))
    return groups


def _by(
    rows: Iterable[Prediction], name: Callable[[Prediction], str]
) -> dict[str, list[Prediction]]:
    found: dict[str, list[Prediction]] = {}
    for row in rows:
        found.setdefault(name(row), []).append(row)
    return found
