"""`python -m demo.batch`: many clips in a terminal, into a file that a later run goes on with."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from demo.audio import Ear, Sandbox
from demo.batch.collect import collect
from demo.batch.output import Output
from demo.batch.rows import CAPTION, CHOICES, OWN, RAW, Row, question
from demo.batch.score import Score, score
from demo.batch.work import Done, Manner, work
from demo.choosing import Chosen, chosen, limits_of
from demo.engine import Engine, Options
from demo.hands import Hands
from demo.loading import Status
from demo.messages import UserError
from demo.settings import Settings, add_flags, given
from demo.ui.tasks import LANGUAGES, TASKS

SHARED = ("engine", "base_url", "api_key_env", "model", "adapter", "hub", "device", "cpu_only",
          "dtype", "attention", "quantize", "max_audio_minutes", "max_file_mb",
          "allow_private_urls")  # fmt: skip
STOPPED = 130  # the exit status after Ctrl-C
SCORES = {"wer": "word error rate", "cer": "character error rate", "exact": "equal replies"}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 if every row has its reply, 1 if some failed or nothing could begin."""
    parser = build_parser()
    values = given(parser, SHARED, argv)
    settings = Settings(**{name: values.pop(name) for name in SHARED})
    wanted = argparse.Namespace(**values)
    wanted.task = wanted.task or (OWN if wanted.prompt else TASKS[0])
    if wanted.prompt and wanted.task not in (OWN, RAW):
        parser.error(f"--prompt goes with --task {OWN} or {RAW}, not with {wanted.task}")
    try:
        return _run(wanted, settings)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo.batch",
        description="Ask one question of many clips; a stopped run goes on where it was.",
        epilog="The exit status is 0 if every clip got its reply, and 1 if some failed. "
        "The last group of flags can also be set in the environment, such as DEMO_MODEL.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a sound or video file, a URL, a folder (with the folders in it), or a manifest: "
        ".jsonl, .csv or .tsv with audio, and optionally prompt and gt",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.jsonl", help="one JSON line a clip"
    )
    asking = parser.add_argument_group("what is asked")
    _add_question(asking)
    drawing = parser.add_argument_group("how it is answered")
    drawing.add_argument(
        "--max-new-tokens", type=int, metavar="N", help="the longest reply [the model's own]"
    )
    drawing.add_argument(
        "--temperature", type=float, default=0.0, metavar="T", help="0 for no sampling [0]"
    )
    drawing.add_argument("--seed", type=int, metavar="N", help="makes sampling repeatable")
    drawing.add_argument(
        "--batch-size", type=_count, metavar="N", help="at most so many at once [what fits]"
    )
    add_flags(parser.add_argument_group("the model and the limits, as for app.py"), SHARED)
    return parser


def _add_question(asking: Any) -> None:
    asking.add_argument(
        "--task",
        choices=CHOICES,
        help=f"raw is for the base model, and asks {CAPTION} [{TASKS[0]}]",
    )
    asking.add_argument(
        "--prompt", metavar="TEXT", help="your own words, instead of a task, or what raw asks"
    )
    asking.add_argument(
        "--to", choices=LANGUAGES, default=LANGUAGES[0], help="to translate to [%(default)s]"
    )
    asking.add_argument("--system-prompt", metavar="TEXT", help="told to the model before each")
    asking.add_argument(
        "--ask-in",
        choices=["en", "zh"],
        default="en",
        help="the language in which a task is asked [%(default)s]",
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _run(wanted: argparse.Namespace, settings: Settings) -> int:
    prompt = question(wanted.task, wanted.to, wanted.prompt, wanted.ask_in)
    rows = collect(wanted.files, prompt)
    choice = chosen(replace(settings, compile="off"))  # batches run as they are
    output = Output(wanted.output, rows, _model(choice, settings))
    try:
        if output.left:
            _answer(output, len(rows), wanted, settings, choice)
    except KeyboardInterrupt:
        left = f"{len(output.left)} of {len(rows)} clips left"
        print(f"\nStopped with {left}; the same command goes on.", file=sys.stderr)
        return STOPPED
    finally:
        output.finish()
    return _tell(output, rows, wanted)


def _answer(
    output: Output, count: int, wanted: argparse.Namespace, settings: Settings, choice: Chosen
) -> None:
    """Answers the rows that are left, into the output and a progress bar."""
    print(choice.notice, file=sys.stderr)
    limits, manner = limits_of(settings), _manner(wanted)
    with (
        closing(_loaded(choice)) as engine,
        closing(Sandbox()) as sandbox,
        closing(work(output.left, manner, engine, Ear(limits, sandbox=sandbox), Hands())) as coming,
        tqdm(total=count, initial=count - len(output.left), unit="clip") as bar,
    ):
        for done in filter(None, coming):
            output.add(done)
            if done.error:
                bar.write(_problem(done), file=sys.stderr)
            bar.update()


def _problem(done: Done) -> str:
    said = str(done.error)
    return said if done.row.name in said else f"{done.row.name}: {said}"


def _model(choice: Chosen, settings: Settings) -> str:
    """The model's name in the output; servers that were given none are asked for it."""
    if settings.engine != "openai" or settings.model != "auto":
        return choice.model
    with closing(_loaded(choice)) as engine:
        return engine.info.model


def _loaded(choice: Chosen) -> Engine:
    def report(status: Status) -> None:
        if status.fraction in (None, 1.0):
            print(status.text, file=sys.stderr)

    return choice.build(report)


def _manner(wanted: argparse.Namespace) -> Manner:
    options = Options(wanted.max_new_tokens, wanted.temperature, seed=wanted.seed)
    return Manner(options, wanted.system_prompt, wanted.batch_size)


def _tell(output: Output, rows: Sequence[Row], wanted: argparse.Namespace) -> int:
    """The lines at the end, and the exit status."""
    failed = output.failed
    replies = f"{len(rows) - failed} of {len(rows)} clips have a reply in {wanted.output.name}"
    print(f"{replies}; {failed} failed." if failed else f"{replies}.")
    if scored := _scored(output.told, rows, wanted.task):
        share = f"{SCORES[scored.metric]} {scored.value:.1%}"
        print(f"{share} over {scored.rows} clips whose gt is known.")
    return 1 if failed else 0


def _scored(told: Mapping[int, Mapping[str, Any]], rows: Sequence[Row], task: str) -> Score | None:
    known = ((rows[place].gt, one) for place, one in told.items() if "error" not in one)
    return score([(gt, one["reply"]) for gt, one in known if gt is not None], task)
