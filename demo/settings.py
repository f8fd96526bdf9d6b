"""Command line and environment -> one frozen `Settings`.

Each field carries its flags and its help, which `demo.flags` makes the rest of. This module
knows nothing of what the values are used for; `python -m demo.settings` prints README's table.
"""

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from demo import flags
from demo.flags import PREFIX, accounts, flag, positive


@dataclass(frozen=True)
class Settings:
    """What a host decides. Field names are also the environment's names, after `DEMO_`."""

    engine: Literal["local", "openai"] = flag(
        "local",
        "--engine",
        "local runs the model on this machine; openai asks servers with OpenAI's chat API, such as "
        "vLLM",
        choices=["local", "openai"],
    )
    base_url: tuple[str, ...] = flag(
        (),
        "--base-url",
        "of a server for --engine openai, such as http://gpu1:8000/v1; again, or after a comma, "
        "for each further one",
        action="append",
        metavar="URL",
    )
    api_key_env: str = flag(
        "OPENAI_API_KEY",
        "--api-key-env",
        "environment variable with the API key of those servers",
        metavar="VARIABLE",
    )
    model: str = flag(
        "auto",
        "--model -c --checkpoint-path",
        "checkpoint: preview, a hub's name or a folder; auto takes Qwen/Qwen2-Audio-7B-Instruct "
        "where a GPU has the memory for it, else preview; of servers, the name they serve it by",
    )
    adapter: Path | None = flag(
        None,
        "--adapter",
        "folder of a LoRA that `python -m finetune --lora` made; with --model auto its own base "
        "is opened",
        type=Path,
    )
    hub: Literal["huggingface", "modelscope"] = flag(
        "huggingface",
        "--hub",
        "where a checkpoint's name is looked up",
        choices=["huggingface", "modelscope"],
    )
    device: str = flag("auto", "--device", "", choices=["auto", "cuda", "mps", "cpu"])
    cpu_only: bool = flag(False, "--cpu-only", "the same as --device cpu")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = flag(
        "auto",
        "--dtype",
        "auto: bfloat16 where the device has it, float32 on the CPU",
        choices=["auto", "float32", "bfloat16", "float16"],
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = flag(
        "auto",
        "--attention",
        "auto: flash attention where it is installed, else PyTorch's own",
        choices=["auto", "sdpa", "eager", "flash_attention_2"],
    )
    quantize: Literal["none", "int8", "int4", "fp8", "nf4"] = flag(
        "none",
        "--quantize",
        "smaller weights: int8, int4, fp8 by torchao, nf4 by bitsandbytes, both in "
        "requirements-quantize.txt",
        choices=["none", "int8", "int4", "fp8", "nf4"],
    )
    compile: Literal["auto", "on", "off"] = flag(
        "auto",
        "--compile",
        "a compiled step for each token; auto tries it on CUDA",
        choices=["auto", "on", "off"],
    )
    host: str | None = flag(
        None, "--host --server-name", "address to listen on; 0.0.0.0 for every one [127.0.0.1]"
    )
    port: int | None = flag(
        None, "--port --server-port", "port to listen on [the first free from 7860]", type=int
    )
    root_path: str | None = flag(
        None, "--root-path", "path under which a proxy serves the app, such as /audio"
    )
    inbrowser: bool = flag(False, "--inbrowser", "open the page in a browser")
    share: bool = flag(False, "--share", "a public https address through Gradio's tunnel")
    auth: tuple[tuple[str, str], ...] | None = flag(
        None,
        "--auth",
        "who may enter: NAME:PASSWORD, or @FILE with one a line",
        type=accounts,
        metavar="ACCOUNTS",
    )
    ssl_certfile: str | None = flag(None, "--ssl-certfile", "certificate to serve https with")
    ssl_keyfile: str | None = flag(None, "--ssl-keyfile", "its private key")
    max_audio_minutes: float = flag(
        10.0, "--max-audio-minutes", "longest clip that is taken", type=positive
    )
    max_file_mb: float = flag(100.0, "--max-file-mb", "largest file that is taken", type=positive)
    max_uploads_gb: float = flag(
        10.0,
        "--max-uploads-gb",
        "of uploads kept on the disk, the oldest make room for the newest; one network address may "
        "bring half of it in a day",
        type=positive,
    )
    clip_store_mb: int = flag(
        256, "--clip-store-mb", "memory for the embeddings of clips heard before", type=int
    )
    conversation_store_mb: int = flag(
        4300,
        "--conversation-store-mb",
        "memory for what earlier turns were turned into, so that a turn costs only what is new; "
        "never more than a quarter of what is free at the start",
        type=int,
    )
    allow_private_urls: bool = flag(
        False, "--allow-private-urls", "let audio URLs point into private networks"
    )
    language: str = flag(
        "auto",
        "--language",
        "of the page; auto follows the visitor's browser",
        choices=["auto", "en", "zh"],
    )
    feedback_file: Path | None = flag(
        None, "--feedback-file", "keep likes and dislikes in this JSON-lines file", type=Path
    )
    max_waiting: int = flag(64, "--max-waiting", "requests that may wait in the queue", type=int)
    max_per_user: int = flag(
        8,
        "--max-per-user",
        "requests of one user at a time: of a login, else of an open page or a program's session",
        type=int,
    )
    grace_seconds: float = flag(
        20.0,
        "--grace-seconds",
        "for the replies that are being made, when the process is asked to end (SIGTERM)",
        type=positive,
    )
    mcp: bool = flag(False, "--mcp", "serve the API as MCP tools too")


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
    values = flags.read(parser, _named(names), sys.argv[1:] if argv is None else argv, environ)
    if values["cpu_only"]:
        values["device"] = "cpu"
    values["base_url"] = urls = _urls(parser, values["base_url"])
    if bool(urls) != (values["engine"] == "openai"):
        parser.error("--engine openai and --base-url go together")
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
    flags.add(parser, _named(names))


def table() -> str:
    """README's table of the settings, in Markdown."""
    return flags.table(fields(Settings))


def _named(names: Sequence[str]) -> flags.Fields:
    return [setting for setting in fields(Settings) if setting.name in names]


def _urls(parser: argparse.ArgumentParser, given: Sequence[str] | None) -> tuple[str, ...]:
    """The base URLs of every flag, without a slash at the end."""
    urls = [url.strip().rstrip("/") for text in given or () for url in text.split(",")]
    for url in urls:
        if not re.match(r"https?://[^/]", url):
            parser.error(
                f"--base-url {url.rpartition('@')[2]}: wants an address such as http://gpu1:8000/v1"
            )
    return tuple(urls)


if __name__ == "__main__":
    print(table())
