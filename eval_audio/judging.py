"""AIR-Bench's judging of open answers, by any model behind a chat-completions server.

The judge reads a description of the clip, the question, and two answers, the reference's and the
model's, and gives each 1 to 10. It is asked twice, the second time with the answers changed round,
for judges like the one that they read first; a row's score is the mean of the two that the model
got. Order and scale are AIR-Bench's; the words are our own, so that numbers to be set beside the
published ones want AIR-Bench's prompt, from a file. On purpose otherwise too, the judge is asked at
temperature 0, for the same score tomorrow, where AIR-Bench draws at 1 (half of its requests at 2).
This module knows no audio.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openai

from eval_audio.judge import ATTEMPTS, Judge, ask
from eval_audio.manifest import EvalError, Row
from eval_audio.store import Prediction, cut_half_line, lines, write_lines

NAME = "judgements.jsonl"
WORKERS = 8
LOWEST, HIGHEST = 0, 10
TWO_SCORES = re.compile(r"(\d+(?:\.\d+)?)[ ,]+(\d+(?:\.\d+)?)")
KINDS = {
    "speech_QA": "speech",
    "speech_dialogue_QA": "speech",
    "sound_QA": "sound",
    "sound_generation_QA": "sound",
    "music_QA": "music",
    "music_generation_analysis_QA": "music",
    "speech_and_sound_QA": "mixed-audio",
    "speech_and_music_QA": "mixed-audio",
}
HALVES = {"speech_and_sound_QA": 0, "speech_and_music_QA": 1}
"""Mixed audio is scored as the mean of its two tasks' means."""


@dataclass(frozen=True)
class Question:
    """What the judge is told of a row beside the model's answer."""

    audio: str
    question: str
    reference: str
    kind: str  # AIR-Bench's task_name

    @property
    def group(self) -> str:
        """Speech, sound, music or mixed audio; a kind of someone else's is its own group."""
        return KINDS.get(self.kind, self.kind)


def read_references(path: Path) -> dict[str, dict[str, Any]]:
    """AIR-Bench's `Chat_meta.json`, or the same as JSON lines, by `uniq_id`.

    Raises:
        EvalError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if text.lstrip().startswith("[") else list(lines(path))
    except (OSError, ValueError) as error:
        raise EvalError(f"{path.name} cannot be read: {error}.") from error
    return {str(one.get("uniq_id")): one for one in found if isinstance(one, dict)}


def questions(
    rows: Sequence[Row], references: Mapping[str, Mapping[str, Any]]
) -> dict[int, Question]:
    """What there is to judge each row by, from its own line or the references; else no entry."""
    found: dict[int, Question] = {}
    for row in rows:
        known = {"question": untagged(row.prompt), "task_name": row.source}
        known |= {**references.get(str(row.fields.get("id")), {}), **row.fields}
        texts = [known.get(name) for name in ("meta_info", "question", "answer_gt", "task_name")]
        if all(isinstance(text, str) and text for text in texts):
            found[row.number] = Question(*map(str, texts))
    return found


def judge_all(
    judge: Judge,
    asked: Mapping[int, Question],
    predictions: Sequence[Prediction],
    folder: Path,
    tell: Callable[[int], object],
) -> dict[int, float]:
    """The score of each row that was judged in both orders; kept in `folder` on the way.

    `tell` gets how many judgements were added.
    """
    path = folder / NAME
    cut_half_line(path)
    wanted = {one["row"]: one["response"] for one in predictions if "response" in one}
    kept = {
        (one["row"], one["order"]): one["score"]
        for one in lines(path)
        if one.get("judge") == judge.name
        and "score" in one
        and wanted.get(one["row"]) == one["answer"]
    }
    todo = [
        (row, order)
        for row in sorted(wanted.keys() & asked.keys())
        for order in (0, 1)
        if (row, order) not in kept
    ]
    tell(len(kept))
    for done in _judged(judge, [(row, order, asked[row], wanted[row]) for row, order in todo]):
        write_lines(path, [done], "a")
        tell(1)
        if "score" in done:
            kept[done["row"], done["order"]] = done["score"]
    both = {row for row, _ in kept if {(row, 0), (row, 1)} <= kept.keys()}
    return {row: (kept[row, 0] + kept[row, 1]) / 2 for row in both}


def _judged(
    judge: Judge, todo: Sequence[tuple[int, int, Question, str]]
) -> Iterator[dict[str, Any]]:
    """A judgement of each, as they come."""
    with ThreadPoolExecutor(WORKERS) as askers:
        coming = [askers.submit(_judgement, judge, *one) for one in todo]
        try:
            for future in as_completed(coming):
                yield future.result()
        finally:
            askers.shutdown(wait=False, cancel_futures=True)


def _judgement(
    judge: Judge, row: int, order: int, question: Question, answer: str
) -> dict[str, Any]:
    """What the judge said of one answer in one order: the model's score, or why there is none."""
    known = {"row": row, "order": order, "judge": judge.name, "answer": answer}
    answers = (answer, question.reference) if order else (question.reference, answer)
    prompt = judge.prompt.format(
        audio=question.audio, question=question.question, first=answers[0], second=answers[1]
    )
    said = ""
    for _ in range(ATTEMPTS):
        try:
            said = ask(judge, prompt)
        except openai.OpenAIError as error:
            return known | {"error": f"{type(error).__name__}: {error}"}
        if scores := scores_in(said):
            return known | {"score": scores[0 if order else 1], "said": said}
    return known | {"error": f"no two scores from {LOWEST} to {HIGHEST}: {said[:200]}"}


def scores_in(text: str) -> tuple[float, float] | None:
    """The two scores that are all of `text`; AIR-Bench's judges give 0 too."""
    found = TWO_SCORES.fullmatch(text.strip())
    if not found:
        return None
    first, second = float(found[1]), float(found[2])
    return (first, second) if max(first, second) <= HIGHEST else None


def untagged(text: str) -> str:
    """A query without the place of its clip."""
    return re.sub(r"(Audio \d+: )?<\|audio_bos\|><\|AUDIO\|><\|audio_eos\|>", "", text).strip()


def counts(judged: Sequence[tuple[Question, float]]) -> np.ndarray:
    """Scores as `SCORE` sums them: (rows, 4), each half's score and number."""
    rows = np.zeros((len(judged), 4))
    for place, (question, score) in enumerate(judged):
        half = HALVES.get(question.kind, 0)
        rows[place, 2 * half : 2 * half + 2] = score, 1
    return rows


def mean_of_halves(sums: np.ndarray) -> float:
    means = [sums[half] / sums[half + 1] for half in (0, 2) if sums[half + 1]]
    return float(np.mean(means)) if means else float("nan")
