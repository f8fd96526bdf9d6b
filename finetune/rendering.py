"""A conversation as the model reads it: token ids, and labels on what it is to say.

The prompt is the processor's own rendering, the one that the app sends. This module knows
nothing of sound: a clip is a number of `<|AUDIO|>` tokens.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from transformers import Qwen2AudioProcessor

Conversation = list[dict[str, Any]]
IGNORED = -100


@dataclass(frozen=True)
class Rendered:
    """Ids and labels of equal length, and the audio parts in the order of their tokens."""

    ids: list[int]
    labels: list[int]
    audio: list[dict[str, Any]]


def audio_parts(conversation: Conversation) -> list[dict[str, Any]]:
    """Every audio part of the conversation, in order."""
    contents = (turn["content"] for turn in conversation if not isinstance(turn["content"], str))
    return [part for content in contents for part in content if part["type"] == "audio"]


class Renderer:
    """Turns conversations into ids and labels by one processor's template and tokenizer."""

    def __init__(self, processor: Qwen2AudioProcessor) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.audio = self._id("<|AUDIO|>")
        self.end = self._id("<|im_end|>")
        self.opening = [
            self._id("<|im_start|>"),
            *self.tokenizer.encode("assistant\n", add_special_tokens=False),
        ]

    def render(
        self,
        conversation: Conversation,
        tokens_of: Callable[[dict[str, Any]], int],
        generation: bool = False,
    ) -> Rendered:
        """`tokens_of` says how many `<|AUDIO|>` tokens an audio part takes.

        With `generation` the prompt ends where the assistant is to speak.
        """
        text = self.processor.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=generation
        )
        parts = audio_parts(conversation)
        ids = self._expand(self.text_ids(text), [tokens_of(part) for part in parts])
        return Rendered(ids, self._labels(ids), parts)

    def text_ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _id(self, token: str) -> int:
        return self.tokenizer.convert_tokens_to_ids(token)

    def _expand(self, ids: Iterable[int], counts: list[int]) -> list[int]:
        """Each `<|AUDIO|>` as often as its clip takes, as the processor does it."""
        left = iter(counts)
        return [
            copy
            for token in ids
            for copy in ([token] * next(left) if token == self.audio else [token])
        ]

    def _labels(self, ids: list[int]) -> list[int]:
        """The assistant's words and the `<|im_end|>` after them; everything else is ignored."""
        labels, speaking = [IGNORED] * len(ids), False
        for place, token in enumerate(ids):
            if speaking:
                labels[place] = token
                speaking = token != self.end
            else:
                start = place + 1 - len(self.opening)
                speaking = start >= 0 and ids[start : place + 1] == self.opening
        return labels
