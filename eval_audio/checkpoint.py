"""A checkpoint on this machine answers rows, in batches of like length, padded on the left.

What the model is shown is either the model card's conversation, rendered by the processor's own
template, or the bare prompt after the clip, as the original project shows its base model. A reply
has at least one token, as there. This module knows no metrics and no files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

from demo.audio import SAMPLE_RATE
from demo.decoding import defaults_of, ends_of, generation_config
from demo.encoder import mel_frames, tokens_of
from eval_audio.answering import CLIP, NEW_TOKENS, Asked, Heard, groups, predicted, prompts_of
from eval_audio.manifest import AUDIO, EvalError, Form, Row, Task
from eval_audio.store import Prediction

TURN_END = "<|im_end|>"
NO_MEMORY = "There is not enough memory for this row. Take --dtype bfloat16."


@dataclass(frozen=True)
class Ask:
    """One prompt, the sounds in it, and how many tokens both are."""

    text: str
    windows: Sequence[np.ndarray]
    tokens: int


def is_instruct(model: Any, processor: Any) -> bool:
    """Whether a checkpoint was taught to take turns: it ends its own with `<|im_end|>`."""
    end = processor.tokenizer.convert_tokens_to_ids(TURN_END)
    return end in ends_of(model.generation_config)


class Checkpoint:
    """A model on this machine that answers rows of one task, shown to it in one form."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        task: Task,
        form: Form,
        languages: Mapping[str, str],
        asked: Asked,
    ) -> None:
        self.model, self.processor, self.asked = model, processor, asked
        self.task: Task = task
        self.form: Form = form
        self.languages = languages  # of the replies, by source
        processor.tokenizer.padding_side = "left"
        greedy = replace(
            defaults_of(model.generation_config), temperature=0.0, max_new_tokens=NEW_TOKENS
        )
        self.config = generation_config(model.generation_config, greedy, NEW_TOKENS)
        self.config.min_new_tokens = 1
        self.context = model.config.get_text_config().max_position_embeddings

    def predictions(self, rows: Sequence[Heard], batch_size: int) -> list[Prediction]:
        """What came of each row, in order."""
        return predicted(
            rows, self.languages, self.asks, lambda asks: self._in_batches(asks, batch_size)
        )

    def asks(self, heard: Heard) -> list[Ask]:
        """The prompts for one row: one a window, or one for all of them.

        Raises:
            EvalError: more than the model takes at once.
        """
        return [self._ask(heard.row, windows) for windows in prompts_of(heard, self.task)]

    def _ask(self, row: Row, windows: Sequence[np.ndarray]) -> Ask:
        text = self.text(row.prompt, len(windows))
        extractor = self.processor.feature_extractor
        sounds = sum(tokens_of(mel_frames(extractor, window)) for window in windows)
        tokens = sounds + len(self.processor.tokenizer.encode(text, add_special_tokens=False))
        if tokens + NEW_TOKENS > self.context:
            raise EvalError(
                f"{PurePath(row.audio).name} and its prompt are {tokens} tokens, and with the "
                f"{NEW_TOKENS} of a reply the model takes {self.context}. Take a shorter clip."
            )
        return Ask(text, windows, tokens)

    def text(self, prompt: str, clips: int) -> str:
        """The whole prompt as the processor takes it, with a place for each clip."""
        if AUDIO in prompt:
            sound = CLIP if CLIP in prompt else AUDIO
            prompt, clips = prompt.replace(sound, sound * clips), 0
        if self.form == "raw":
            return CLIP * clips + prompt
        sounds = [{"type": "audio", "audio_url": f"{number}"} for number in range(clips)]
        turn = {"role": "user", "content": [*sounds, {"type": "text", "text": prompt}]}
        return self.processor.apply_chat_template(
            [turn], add_generation_prompt=True, tokenize=False
        )

    def _in_batches(self, asks: Sequence[Ask], batch_size: int) -> list[str | EvalError]:
        """A reply to each, in order, or why there is none."""
        order = sorted(range(len(asks)), key=lambda place: -asks[place].tokens)
        found: list[str | EvalError] = [""] * len(asks)
        for places in groups(order, batch_size):
            replies = self._within_memory([asks[place] for place in places])
            for place, reply in zip(places, replies, strict=True):
                found[place] = reply
        return found

    def _within_memory(self, asks: Sequence[Ask]) -> list[str | EvalError]:
        """The replies; a batch that does not fit the memory is halved."""
        try:
            return [*self._replies(asks)]
        except torch.OutOfMemoryError:
            if len(asks) == 1:
                return [EvalError(NO_MEMORY)]
        torch.cuda.empty_cache()
        half = len(asks) // 2
        return [*self._within_memory(asks[:half]), *self._within_memory(asks[half:])]

    @torch.inference_mode()
    def _replies(self, asks: Sequence[Ask]) -> list[str]:
        inputs = self.processor(
            text=[ask.text for ask in asks],
            audio=[window for ask in asks for window in ask.windows],
            sampling_rate=SAMPLE_RATE,
            return_tensors="pt",
            padding=True,
        ).to(self.model.device, self.model.dtype)
        ids = self.model.generate(**inputs, generation_config=self.config)
        new = ids[:, inputs["input_ids"].shape[1] :]
        return self.processor.batch_decode(
            new, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def close(self) -> None:
        """The process ends with it."""
