"""Fields of a dataclass that carry their flags -> a parser, its environment, a table for README.

A flag beats its environment variable, which beats the field's default. This module knows no
field by name.
"""

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import Field, field
from pathlib import Path
from typing import Any

PREFIX = "DEMO_"
TRUE = {"1", "true", "yes", "on"}
FALSE = {"", "0", "false", "no", "off"}

Fields = Sequence[Field[Any]]


def flag(default: Any, flags: str, help: str, **more: Any) -> Any:
    """A field with its command line: `flags` in one string, `more` as `add_argument` takes it."""
    return field(default=default, metadata={"flags": flags.split(), "help": help, **more})


def accounts(text: str) -> tuple[tuple[str, str], ...]:
    """`name:password`, several with commas between, or `@FILE` with one a line."""
    lines = _read(Path(text[1:])).splitlines() if text.startswith("@") else text.split(",")
    pairs = [line.strip().partition(":") for line in lines if line.strip()]
    if not pairs or any(not name or not password for name, _, password in pairs):
        raise argparse.ArgumentTypeError("wants NAME:PASSWORD, or @FILE with one a line")
    return tuple((name, password) for name, _, password in pairs)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{file} cannot be read: {error.strerror}") from None


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def add(parser: argparse._ActionsContainer, settings: Fields) -> None:
    """Adds the flags of the fields."""
    for setting in settings:
        more = dict(setting.metadata)
        flags = more.pop("flags")
        if isinstance(setting.default, bool):
            more["action"] = argparse.BooleanOptionalAction
        elif setting.default not in (None, ()):
            more["help"] = f"{more['help']} [%(default)s]".strip()
        default = setting.default or None if "action" in setting.metadata else setting.default
        parser.add_argument(*flags, dest=setting.name, default=default, **more)


def read(
    parser: argparse.ArgumentParser,
    settings: Fields,
    arguments: Sequence[str],
    environ: Mapping[str, str],
) -> dict[str, Any]:
    """The values by name, of the fields and of whatever else the parser knows."""
    named = {argument.partition("=")[0] for argument in arguments}
    before = _from_environment(parser, settings, environ, named)
    return vars(parser.parse_args([*before, *arguments]))


def variable(setting: Field[Any]) -> str:
    """The field's environment variable."""
    return PREFIX + setting.name.upper()


def table(settings: Fields) -> str:
    """README's table of the settings, in Markdown."""
    rows = ["| flag | environment | default | what it is |", "|---|---|---|---|"]
    for setting in settings:
        flags = ", ".join(f"`{flag}`" for flag in setting.metadata["flags"])
        default = "" if setting.default in (None, False, ()) else f"`{setting.default}`"
        rows.append(f"| {flags} | `{variable(setting)}` | {default} | {_what(setting)} |")
    return "\n".join(rows)


def _from_environment(
    parser: argparse.ArgumentParser,
    settings: Fields,
    environ: Mapping[str, str],
    named: Collection[str],
) -> list[str]:
    """The environment as the arguments that say the same, but for flags that are `named`."""
    arguments: list[str] = []
    for setting in settings:
        text = environ.get(variable(setting))
        flags = setting.metadata["flags"]
        if text is None or {*flags} & {*named}:
            continue
        if isinstance(setting.default, bool):
            arguments += _switch(parser, flags[0], variable(setting), text)
        elif text:
            arguments.append(f"{flags[0]}={text}")
    return arguments


def _switch(parser: argparse.ArgumentParser, flag: str, name: str, text: str) -> list[str]:
    if text.lower() in TRUE:
        return [flag]
    if text.lower() not in FALSE:
        parser.error(f"{name}={text!r}: wants 1 or 0")
    return []


def _what(setting: Field[Any]) -> str:
    choices = setting.metadata.get("choices", [])
    listed = ", ".join(f"`{choice}`" for choice in choices)
    return ": ".join(part for part in (setting.metadata["help"], listed) if part)
