"""An evaluation from its manifest to its table: reads, answers, scores, reports.

Started by `accelerate launch`, each process answers every nth row and writes a file of its own;
the first one puts them together and is the only one that scores and prints.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from accelerate import PartialState
from tqdm import tqdm

from demo.audio import Ear, Limits
from demo.checkpoint import choose
from eval_audio import judging, scoring
from eval_audio.answering import Respondent, hear, heard_ahead, is_instruct
from eval_audio.judge import open_judge
from eval_audio.manifest import BadRow, Form, Row, read
from eval_audio.opening import Opened, crew_of, opened
from eval_audio.options import Options
from eval_audio.report import Group, as_json, notes, table
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
    choice = choose(options.model, options.hub, options.device, dtype=options.dtype)
    crew = crew_of(choice)
    store = Store(options.output, crew.process_index)
    checkpoint = opened(choice, crew)
    form = options.form or _form(options, checkpoint)
    _sign(store, crew, options, checkpoint, form)
    respondent = Respondent(checkpoint.model, checkpoint.processor, options.task, form, languages)
    _answer(options, crew, store, rows, respondent)
    crew.wait_for_everyone()
    if crew.is_main_process:
        predictions = store.gather(rows, bad)
        groups = score(predictions)
        seconds = time.monotonic() - started
        _report(options, checkpoint, form, predictions, groups, seconds)
    crew.destroy_process_group()


def _failed(line: BadRow) -> Prediction:
    return {"row": line.number, "source": line.source, "error": line.error}


def _form(options: Options, checkpoint: Opened) -> Form:
    """A chat is asked in turns, as the original does; else as the checkpoint was taught."""
    instruct = is_instruct(checkpoint.model, checkpoint.processor)
    return "chat" if options.task == "chat" or instruct else "raw"


def _sign(
    store: Store, crew: PartialState, options: Options, checkpoint: Opened, form: Form
) -> None:
    signature = {
        "task": options.task,
        "model": checkpoint.name,
        "weights": checkpoint.weights,
        "dtype": checkpoint.where["dtype"],
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
    checkpoint: Opened,
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
        "model": checkpoint.name,
        **checkpoint.where,
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
