"""What a batch works through: one row for each clip, and what is asked about it.

A prompt that has `<|AUDIO|>` in it is a raw one, for the base model: it goes in as it is, with no
turns around it. This module knows files only by their names; `demo.batch.manifest` reads one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from demo.addresses import is_data_url, is_url
from demo.batch.rules import SOUND, BatchError
from demo.engine import Conversation
from demo.hearing.fetch import name_of_url
from demo.hearing.rules import UNNAMED, shown_name
from demo.messages import Language, UserError
from demo.turns import audio_part, escape, short, text_part
from demo.ui.tasks import LANGUAGES, TASKS, prompt

OWN, RAW = "own", "raw"
CHOICES = (*TASKS, OWN, RAW)
CAPTION = f"{SOUND}Generate the caption in English:"


@dataclass(frozen=True)
class Row:
    """One clip to answer."""

    audio: str  # a path or a URL
    prompt: str
    gt: str | None = None  # what the reply should be
    named: str | None = None  # as a manifest names the clip
    problem: UserError | None = None  # why there is nothing to hear

    @property
    def name(self) -> str:
        """What the person calls the clip."""
        named = self.named or self.audio
        if is_data_url(named):
            return UNNAMED
        return shown_name(name_of_url(named) if is_url(named) else named)

    @property
    def raw(self) -> bool:
        return is_raw(self.prompt)


def require_few(rows: Sequence[object], most: int | None) -> None:
    """Raises BatchError where there are more rows than `most`; None is without a limit."""
    if most is not None and len(rows) > most:
        raise BatchError("too_many_rows", limit=most)


def is_raw(prompt: str) -> bool:
    return "<|AUDIO|>" in prompt


def question(task: str, target: str, own: str | None, language: Language) -> str:
    """The prompt of a task; `target` is the language of a translation, `own` one's own words.

    Raises:
        BatchError: no such task or language, or the own prompt is none.
    """
    if task not in CHOICES:
        raise BatchError("task", value=short(task), choices=", ".join(CHOICES))
    if target not in LANGUAGES:
        raise BatchError("language", value=short(target), choices=", ".join(LANGUAGES))
    if task == RAW:
        return checked(own or CAPTION, must_be_raw=True)
    if task == OWN:
        return checked(own or "")
    return prompt(task, target, language)


def checked(prompt: str, must_be_raw: bool = False) -> str:
    """`prompt`, if it can be asked.

    Raises:
        BatchError: it is empty, or a raw one without exactly one place for the clip.
    """
    if not prompt.strip():
        raise BatchError("no_prompt")
    raw = must_be_raw or is_raw(prompt)
    if raw and not prompt.count(SOUND) == prompt.count("<|AUDIO|>") == 1:
        raise BatchError("raw", prompt=short(prompt))
    return prompt


def asked(row: Row, system: str | None = None) -> Conversation | str:
    """What the model gets for one window of the row's clip."""
    if row.raw:
        return row.prompt
    told = [{"role": "system", "content": escape(system)}] if system and system.strip() else []
    parts = [audio_part(row.audio), text_part(row.prompt)]
    return [*told, {"role": "user", "content": parts}]


def joined(texts: Iterable[str]) -> str:
    """The replies to a long clip's windows as one: a space between, but in Chinese or Japanese."""
    whole = ""
    for text in filter(None, (text.strip() for text in texts)):
        close = not whole or (wide(whole[-1]) and wide(text[0]))
        whole += text if close else f" {text}"
    return whole


def wide(character: str) -> bool:
    """Whether no space stands beside it: Chinese, Japanese, and their punctuation."""
    return "\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef"
