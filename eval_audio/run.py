"""An evaluation from its manifest to its table: reads, answers, scores, reports.

Started by `accelerate launch`, each process answers every nth row and writes a file of its own;
the first one puts them together and is the only one that scores and prints.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from accelerate import PartialState
from tqdm import tqdm

from demo.audio import Ear, Limits
from demo.checkpoint import choose
from eval_audio import judging, scoring
from eval_audio.answering import Asked, Respondent, hear, heard_ahead
from eval_audio.checkpoint import Checkpoint, is_instruct
from eval_audio.judge import open_judge
from eval_audio.manifest import BadRow, Form, Row, read
from eval_audio.opening import crew_of, opened, reporter
from eval_audio.options import Options
from eval_audio.report import Group, as_json, notes, table
from eval_audio.servers import asked_of
from eval_audio.store import Prediction, Store

BATCHES_AHEAD = 4  # sorted by length together; what a kill can lose
MAX_MINUTES = 60.0


def run(options: Options) -> None:
    """Do what `options` say, or go on with it.

    Raises:
        EvalError, EngineError: it cannot be done.
    """
    started = time.monotonic()
    lines = read(options.manifest, options.task)
    rows = [line for line in lines if isinstance(line, Row)]
    bad = [_failed(line) for line in lines if isinstance(line, BadRow)]
    languages = scoring.languages_of(options.task, rows, options.language)
    score = _scorer(options, rows, languages)
    respondent, form, crew = _respondent(options, languages)
    store = Store(options.output, crew.process_index)
    _sign(store, crew, options, respondent.asked, form)
    with closing(respondent):
        _answer(options, crew, store, rows, respondent)
    crew.wait_for_everyone()
    if crew.is_main_process:
        predictions = store.gather(rows, bad)
        groups = score(predictions)
        seconds = time.monotonic() - started
        _report(options, respondent.asked, form, predictions, groups, seconds)
    crew.destroy_process_group()


def _failed(line: BadRow) -> Prediction:
    return {"row": line.number, "source": line.source, "error": line.error}


def _respondent(
    options: Options, languages: Mapping[str, str]
) -> tuple[Respondent, Form, PartialState]:
    """Who answers, in which form it is asked, and the processes that share the work."""
    if options.base_url:
        crew = crew_of(cpu=True)
        asked = (options.base_url, options.model, options.api_key_env, options.task, languages)
        return asked_of(*asked, reporter(crew)), "chat", crew
    choice = choose(options.model, options.hub, options.device, dtype=options.dtype)
    crew = crew_of(choice.device == "cpu")
    model, processor, asked = opened(choice, crew)
    # a chat is asked in turns, as the original does; else as the checkpoint was taught
    taught: Form = "chat" if options.task == "chat" or is_instruct(model, processor) else "raw"
    form = options.form or taught
    return Checkpoint(model, processor, options.task, form, languages, asked), form, crew


def _sign(store: Store, crew: PartialState, options: Options, asked: Asked, form: Form) -> None:
    signature = {
        "task": options.task,
        "model": asked.name,
        "weights": asked.weights,
        "dtype": asked.where["dtype"],
        "form": form,
    }
    store.require_same(signature)
    crew.wait_for_everyone()
    if crew.is_main_process:
        store.sign(signature)


def _answer(
    options: Options, crew: PartialState, store: Store, rows: Sequence[Row], respondent: Respondent
) -> None:
    """Write an answer to each row of the process's share that has none yet, as they come."""
    done = store.done(rows)
    mine = rows[crew.process_index :: crew.num_processes]
    left = [row for row in mine if row.number not in done]
    ear = Ear(Limits(MAX_MINUTES, allow_private_urls=options.allow_private_urls), cache_mb=0)
    place = _places(options.clips or options.manifest.parent)
    ahead = heard_ahead(left, BATCHES_AHEAD * options.batch_size, lambda row: hear(ear, place, row))
    bar = tqdm(
        total=len(mine), initial=len(mine) - len(left), disable=not crew.is_main_process, unit="row"
    )
    with bar:
        for group in ahead:
            store.append(respondent.predictions(group, options.batch_size))
            bar.update(len(group))


def _places(folder: Path) -> Callable[[str], str]:
    """A URL is where it says; a path is absolute or in `folder`."""
    return lambda audio: (
        audio if "://" in audio or audio.startswith("data:") else str(folder / audio)
    )


def _scorer(
    options: Options, rows: Sequence[Row], languages: Mapping[str, str]
) -> Callable[[Sequence[Prediction]], list[Group]]:
    """What makes groups of predictions; all that it needs is opened here, before hours of work."""
    luck = scoring.Bootstrap(options.resamples, options.seed)
    task, name = options.task, options.manifest.stem
    if task != "chat":
        metric_of = scoring.metrics_of(task, languages)
        return lambda found: scoring.compared(task, name, found, metric_of, luck)
    references = judging.read_references(options.references) if options.references else {}
    asked = judging.questions(rows, references)
    if not options.judge_model:
        return lambda found: scoring.judged(name, found, asked, {}, luck)
    judge = open_judge(
        options.judge_url, options.judge_model, options.judge_key_env, options.judge_prompt
    )

    def score(found: Sequence[Prediction]) -> list[Group]:
        with tqdm(total=2 * len(asked), unit="judgement") as bar:
            scores = judging.judge_all(judge, asked, found, options.output, bar.update)
        return scoring.judged(name, found, asked, scores, luck)

    return score


def _report(
    options: Options,
    asked: Asked,
    form: Form,
    predictions: Sequence[Prediction],
    groups: Sequence[Group],
    seconds: float,
) -> None:
    """Print the table, what is to be known of it, and the JSON line; keep the last as a file."""
    counts = {
        "rows": len(predictions),
        "errors": sum("error" in one for one in predictions),
        "long_clips": sum(one.get("windows", 1) > 1 for one in predictions),
        "scored": sum(group.scored for group in groups),
    }
    print(table(groups))
    for note in notes(options.task, **counts):
        print(note)
    result = {
        "task": options.task,
        "manifest": options.manifest.name,
        "model": asked.name,
        **asked.where,
        "form": form,
        "language": options.language,
        "judge": options.judge_model,
        **counts,
        "seconds": round(seconds, 1),
        "groups": as_json(groups),
    }
    line = json.dumps(result, ensure_ascii=False)
    (options.output / "results.json").write_text(line + "\n", encoding="utf-8")
    print(line, flush=True)
