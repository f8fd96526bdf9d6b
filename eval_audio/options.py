"""The command line of an evaluation -> one frozen `Options`.

Nothing here imports torch, so that a wrong flag is told at once.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from demo.checkpoint import Dtype
from demo.hub import Hub
from eval_audio.manifest import TASKS, Form, Task


@dataclass(frozen=True)
class Options:
    """What is evaluated, and how; each field is a flag."""

    task: Task
    manifest: Path
    model: str
    output: Path
    language: str | None
    base_url: tuple[str, ...]
    api_key_env: str
    hub: Hub
    device: str
    dtype: Dtype
    batch_size: int
    form: Form | None
    clips: Path | None
    allow_private_urls: bool
    resamples: int
    seed: int
    references: Path | None
    judge_url: str | None
    judge_model: str | None
    judge_key_env: str
    judge_prompt: Path | None


def parse(arguments: Sequence[str] | None, description: str | None) -> Options:
    """Exits with argparse's message where a value is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m eval_audio",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_what(parser.add_argument)
    _add_how(parser.add_argument)
    _add_judge(parser.add_argument)
    values = vars(parser.parse_args(arguments))
    values["base_url"] = tuple(values["base_url"])
    if values["base_url"] and values["form"] == "raw":
        parser.error("--form raw: servers are asked in turns; take a checkpoint of this machine")
    return Options(**{field.name: values[field.name] for field in fields(Options)})


def _add_what(add: Any) -> None:
    add("--task", choices=TASKS, required=True)
    add("--manifest", type=Path, required=True, help="JSON lines of the original project's form")
    add("--model", required=True, help="checkpoint: preview, a hub's name or a folder")
    add("--output", type=Path, required=True, help="folder; a run that was stopped goes on there")
    add("--language", help="of what is said (asr) or of the translation (s2tt), such as en or zh")
    add("--clips", type=Path, help="folder of the clips, where it is not the manifest's own")
    add("--hub", choices=["huggingface", "modelscope"], default="huggingface")
    add(
        "--base-url",
        action="append",
        default=[],
        metavar="URL",
        help="a server that answers by OpenAI's chat API, such as vLLM's http://gpu1:8000/v1, "
        "instead of this machine; again for each further one. --model is then the name it serves",
    )
    add("--api-key-env", default="OPENAI_API_KEY", help="variable with its key [%(default)s]")


def _add_how(add: Any) -> None:
    dtypes = ["auto", "float32", "bfloat16", "float16"]
    add("--device", choices=["auto", "cuda", "mps", "cpu"], default="auto")
    add("--dtype", choices=dtypes, default="auto")
    add("--batch-size", type=_positive, default=8, help="windows answered at once [%(default)s]")
    add(
        "--form",
        choices=["chat", "raw"],
        help="how a prompt is shown: as a turn, or bare after the clip [by the checkpoint]",
    )
    add("--allow-private-urls", action="store_true", help="clips from private networks too")
    add("--resamples", type=_counted, default=1000, help="of the bootstrap [%(default)s]")
    add("--seed", type=_counted, default=0, help="of the bootstrap [%(default)s]")


def _add_judge(add: Any) -> None:
    add("--references", type=Path, help="for chat: AIR-Bench's Chat_meta.json")
    add("--judge-model", help="for chat: the model that gives scores; AIR-Bench took a GPT-4")
    add("--judge-url", help="a server that speaks OpenAI's protocol, such as http://host:8000/v1")
    add("--judge-key-env", default="OPENAI_API_KEY", help="variable with its key [%(default)s]")
    add(
        "--judge-prompt",
        type=Path,
        help="file with the judge's prompt, such as AIR-Bench's own, {audio}, {question}, {first} "
        "and {second} where they belong [our own words]",
    )


def _counted(text: str, least: int = 0) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text} is no whole number of {least} or more")
    return value


def _positive(text: str) -> int:
    return _counted(text, 1)
