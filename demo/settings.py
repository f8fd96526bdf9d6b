"""Command line and environment -> one frozen `Settings`.

Each field carries its flags and its help; the parser, the environment's names and README's table
come from the fields. A flag beats its environment variable, which beats the default. This module
knows nothing of what the values are used for; `python -m demo.settings` prints README's table.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

PREFIX = "DEMO_"
TRUE = {"1", "true", "yes", "on"}
FALSE = {"", "0", "false", "no", "off"}


def _flag(default: Any, flags: str, help: str, **more: Any) -> Any:
    """A field with its command line: `flags` in one string, `more` as `add_argument` takes it."""
    return field(default=default, metadata={"flags": flags.split(), "help": help, **more})


def _accounts(text: str) -> tuple[tuple[str, str], ...]:
    """`name:password`, several with commas between, or `@FILE` with one a line."""
    if text.startswith("@"):
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
    else:
        lines = text.split(",")
    pairs = [line.strip().partition(":") for line in lines if line.strip()]
    if not pairs or any(not name or not password for name, _, password in pairs):
        raise argparse.ArgumentTypeError("wants NAME:PASSWORD, or @FILE with one a line")
    return tuple((name, password) for name, _, password in pairs)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


@dataclass(frozen=True)
class Settings:
    """What a host decides. Field names are also the environment's names, after `DEMO_`."""

    model: str = _flag(
        "auto",
        "--model -c --checkpoint-path",
        "checkpoint: preview, a hub's name or a folder; auto takes Qwen/Qwen2-Audio-7B-Instruct "
        "where a GPU has the memory for it, else preview",
    )
    adapter: Path | None = _flag(
        None,
        "--adapter",
        "folder of a LoRA that `python -m finetune --lora` made; with --model auto its own base "
        "is opened",
        type=Path,
    )
    hub: Literal["huggingface", "modelscope"] = _flag(
        "huggingface",
        "--hub",
        "where a checkpoint's name is looked up",
        choices=["huggingface", "modelscope"],
    )
    device: str = _flag("auto", "--device", "", choices=["auto", "cuda", "mps", "cpu"])
    cpu_only: bool = _flag(False, "--cpu-only", "the same as --device cpu")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = _flag(
        "auto",
        "--dtype",
        "auto: bfloat16 where the device has it, float32 on the CPU",
        choices=["auto", "float32", "bfloat16", "float16"],
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = _flag(
        "auto",
        "--attention",
        "auto: flash attention where it is installed, else PyTorch's own",
        choices=["auto", "sdpa", "eager", "flash_attention_2"],
    )
    quantize: Literal["none", "int8", "int4", "fp8", "nf4"] = _flag(
        "none",
        "--quantize",
        "smaller weights: int8, int4, fp8 by torchao, nf4 by bitsandbytes, both in "
        "requirements-quantize.txt",
        choices=["none", "int8", "int4", "fp8", "nf4"],
    )
    compile: Literal["auto", "on", "off"] = _flag(
        "auto",
        "--compile",
        "a compiled step for each token; auto tries it on CUDA",
        choices=["auto", "on", "off"],
    )
    host: str | None = _flag(
        None, "--host --server-name", "address to listen on; 0.0.0.0 for every one [127.0.0.1]"
    )
    port: int | None = _flag(
        None, "--port --server-port", "port to listen on [the first free from 7860]", type=int
    )
    root_path: str | None = _flag(
        None, "--root-path", "path under which a proxy serves the app, such as /audio"
    )
    inbrowser: bool = _flag(False, "--inbrowser", "open the page in a browser")
    share: bool = _flag(False, "--share", "a public https address through Gradio's tunnel")
    auth: tuple[tuple[str, str], ...] | None = _flag(
        None,
        "--auth",
        "who may enter: NAME:PASSWORD, or @FILE with one a line",
        type=_accounts,
        metavar="ACCOUNTS",
    )
    ssl_certfile: str | None = _flag(None, "--ssl-certfile", "certificate to serve https with")
    ssl_keyfile: str | None = _flag(None, "--ssl-keyfile", "its private key")
    max_audio_minutes: float = _flag(
        10.0, "--max-audio-minutes", "longest clip that is taken", type=_positive
    )
    max_file_mb: float = _flag(100.0, "--max-file-mb", "largest file that is taken", type=_positive)
    clip_store_mb: int = _flag(
        256, "--clip-store-mb", "memory for the embeddings of clips heard before", type=int
    )
    conversation_store_mb: int = _flag(
        4300,
        "--conversation-store-mb",
        "memory for what earlier turns were turned into, so that a turn costs only what is new; "
        "never more than a quarter of what is free at the start",
        type=int,
    )
    allow_private_urls: bool = _flag(
        False, "--allow-private-urls", "let audio URLs point into private networks"
    )
    language: str = _flag(
        "auto",
        "--language",
        "of the page; auto follows the visitor's browser",
        choices=["auto", "en", "zh"],
    )
    feedback_file: Path | None = _flag(
        None, "--feedback-file", "keep likes and dislikes in this JSON-lines file", type=Path
    )
    max_waiting: int = _flag(64, "--max-waiting", "requests that may wait in the queue", type=int)
    max_per_user: int = _flag(
        8,
        "--max-per-user",
        "requests of one user at a time: of a login, else of an open page",
        type=int,
    )
    mcp: bool = _flag(False, "--mcp", "serve the API as MCP tools too")


NAMES = tuple(setting.name for setting in fields(Settings))


def parse(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this start; exits with argparse's message where a value is wrong."""
    parser = build_parser()
    values = given(parser, NAMES, argv, environ)
    if bool(values["ssl_certfile"]) != bool(values["ssl_keyfile"]):
        parser.error("--ssl-certfile and --ssl-keyfile go together")
    return Settings(**values)


def given(
    parser: argparse.ArgumentParser,
    names: Sequence[str],
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """What the command line says, and the environment for the settings `names` of it."""
    arguments = sys.argv[1:] if argv is None else argv
    values = vars(parser.parse_args([*_from_environment(parser, names, environ), *arguments]))
    if values["cpu_only"]:
        values["device"] = "cpu"
    return values


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="Talk with Qwen2-Audio in the browser.",
        epilog=f"Each flag is also an environment variable, such as {PREFIX}MODEL.",
        allow_abbrev=False,
    )
    add_flags(parser, NAMES)
    return parser


def add_flags(parser: argparse._ActionsContainer, names: Sequence[str]) -> None:
    """Adds the flags of the settings `names`."""
    for setting in fields(Settings):
        if setting.name in names:
            _add(parser, setting)


def _add(parser: argparse._ActionsContainer, setting: Field[Any]) -> None:
    more = dict(setting.metadata)
    flags = more.pop("flags")
    if isinstance(setting.default, bool):
        more["action"] = argparse.BooleanOptionalAction
    elif setting.default is not None:
        more["help"] = f"{more['help']} [%(default)s]".strip()
    parser.add_argument(*flags, dest=setting.name, default=setting.default, **more)


def _from_environment(
    parser: argparse.ArgumentParser, names: Sequence[str], environ: Mapping[str, str]
) -> list[str]:
    """The environment as the arguments that say the same, to be read before the real ones."""
    arguments: list[str] = []
    for setting in fields(Settings):
        text = environ.get(PREFIX + setting.name.upper())
        if text is None or setting.name not in names:
            continue
        flag = setting.metadata["flags"][0]
        if isinstance(setting.default, bool):
            arguments += _switch(parser, flag, PREFIX + setting.name.upper(), text)
        elif text:
            arguments.append(f"{flag}={text}")
    return arguments


def _switch(parser: argparse.ArgumentParser, flag: str, name: str, text: str) -> list[str]:
    if text.lower() in TRUE:
        return [flag]
    if text.lower() not in FALSE:
        parser.error(f"{name}={text!r}: wants 1 or 0")
    return []


def table() -> str:
    """README's table of the settings, in Markdown."""
    rows = ["| flag | environment | default | what it is |", "|---|---|---|---|"]
    for setting in fields(Settings):
        flags = ", ".join(f"`{flag}`" for flag in setting.metadata["flags"])
        default = "" if setting.default in (None, False) else f"`{setting.default}`"
        rows.append(
            f"| {flags} | `{PREFIX}{setting.name.upper()}` | {default} | {_what(setting)} |"
        )
    return "\n".join(rows)


def _what(setting: Field[Any]) -> str:
    choices = setting.metadata.get("choices", [])
    listed = ", ".join(f"`{choice}`" for choice in choices)
    return ": ".join(part for part in (setting.metadata["help"], listed) if part)


if __name__ == "__main__":
    print(table())
