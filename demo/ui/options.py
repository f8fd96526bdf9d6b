"""The generation options that a person may set: their limits, and how they become `Options`."""

from dataclasses import dataclass
from typing import Any

from demo.engine import Options
from demo.ui.strings import PageError


@dataclass(frozen=True)
class Field:
    low: float
    high: float
    whole: bool = False  # an integer


FIELDS = {
    "max_new_tokens": Field(1, 8192, whole=True),
    "temperature": Field(0, 5),
    "top_p": Field(0.01, 1),
    "top_k": Field(1, 1000, whole=True),
    "repetition_penalty": Field(0.1, 5),
    "seed": Field(0, 2**32 - 1, whole=True),
}


def options_of(**values: Any) -> Options:
    """The options of `values` by name, None or missing where the checkpoint's default is taken.

    Raises:
        PageError: a value is out of its limits, no number, or no whole one.
    """
    return Options(**{name: _checked(name, value) for name, value in values.items()})


def read_number(text: str | None) -> float | str | None:
    """The number that was typed; None where nothing was, the text itself where it is none."""
    try:
        return float(text) if text and text.strip() else None
    except ValueError:
        return text


def _checked(name: str, value: Any) -> Any:
    if value is None:
        return None
    field = FIELDS[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not field.low <= value <= field.high:
        limits = {"low": f"{field.low:g}", "high": f"{field.high:.0f}"}
        raise PageError("option", name=name, value=value, **limits)
    if field.whole and value != int(value):
        raise PageError("whole", name=name, value=value)
    return int(value) if field.whole else float(value)
