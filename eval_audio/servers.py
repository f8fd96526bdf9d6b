"""Servers that speak OpenAI's chat API answer rows, many at a time: the demo's remote engine.

They render the conversation themselves, so a prompt is always a turn of one: the clip's windows
where the prompt names a clip, and else before it. What a server refuses is the error of that row
only. This module knows no torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from demo.connecting import connect
from demo.engine import Budgets, Conversation, Item, Options
from demo.loading import Report
from demo.remote import RemoteEngine
from demo.wanted import Remote, key_from
from eval_audio.answering import CLIP, NEW_TOKENS, Asked, Heard, predicted, prompts_of
from eval_audio.manifest import AUDIO, EvalError, Task
from eval_audio.store import Prediction

GREEDY = Options(max_new_tokens=NEW_TOKENS, temperature=0.0)


class ServersRespondent:
    """The model that one or more servers serve, asked in turns."""

    def __init__(
        self, engine: RemoteEngine, model: str, task: Task, languages: Mapping[str, str]
    ) -> None:
        self.engine = engine
        self.task: Task = task
        self.languages = languages
        self.asked = Asked(model, "", {"device": "servers", "dtype": "the servers' own"})

    def predictions(self, rows: Sequence[Heard], batch_size: int) -> list[Prediction]:
        return predicted(
            rows, self.languages, self._asks, lambda items: self._replies(items, batch_size)
        )

    def close(self) -> None:
        self.engine.close()

    def _asks(self, heard: Heard) -> list[Item]:
        return [
            Item(turn(heard.row.prompt, len(windows)), windows)
            for windows in prompts_of(heard, self.task)
        ]

    def _replies(self, items: Sequence[Item], at_once: int) -> list[str | EvalError]:
        replies: list[str | EvalError] = [""] * len(items)
        for answer in self.engine.batch(items, GREEDY, at_once):
            if answer is not None:
                error = answer.error
                replies[answer.place] = EvalError(str(error)) if error else answer.text
        return replies


def turn(prompt: str, clips: int) -> Conversation:
    """The prompt as a user's turn; its clips stand where it names one, or else come first."""
    sound = CLIP if CLIP in prompt else AUDIO
    before, _, after = prompt.rpartition(sound)
    sounds = [{"type": "audio", "audio_url": str(number)} for number in range(clips)]
    content: list[dict[str, Any]] = [*_text(before), *sounds, *_text(after)]
    return [{"role": "user", "content": content}]


def _text(words: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": words}] if words.strip() else []


def asked_of(
    urls: Sequence[str],
    model: str,
    key_variable: str,
    task: Task,
    languages: Mapping[str, str],
    report: Report,
) -> ServersRespondent:
    """Waits until one of the servers answers.

    Raises:
        RemoteError: a server refuses the key, or does not serve the model.
    """
    wanted = Remote(model, tuple(urls), key_from(key_variable), Budgets())
    engine = connect(wanted, report)
    assert isinstance(engine, RemoteEngine)
    return ServersRespondent(engine, engine.info.model, task, languages)
