"""Rows of a manifest -> replies of a model, in batches of like length, padded on the left.

What the model is shown is either the model card's conversation, rendered by the processor's own
template, or the bare prompt after the clip, as the original project shows its base model. Replies
are greedy, of 1 to 256 tokens, as there. A clip of over 30 s is heard by windows: where speech is
written down or translated, each is asked about and the replies are joined; where the whole is asked
about, all stand in one prompt. This module knows no metrics and no files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np
import torch

from demo.audio import SAMPLE_RATE, AudioError, Ear
from demo.decoding import defaults_of, ends_of, generation_config
from demo.encoder import mel_frames, tokens_of
from eval_audio.manifest import AUDIO, EvalError, Form, Row, Task
from eval_audio.store import Prediction
from eval_audio.words import joined

Item = TypeVar("Item")

CLIP = f"<|audio_bos|>{AUDIO}<|audio_eos|>"
TURN_END = "<|im_end|>"
READERS = 4
NEW_TOKENS = 256
WINDOW_BY_WINDOW: tuple[Task, ...] = ("asr", "s2tt")


@dataclass(frozen=True)
class Heard:
    """A row and the windows of its clip, or why there are none."""

    row: Row
    windows: list[np.ndarray]
    error: str | None = None


@dataclass(frozen=True)
class Ask:
    """One prompt, the sounds in it, and how many tokens both are."""

    text: str
    windows: Sequence[np.ndarray]
    tokens: int


def hear(ear: Ear, place: Callable[[str], str], row: Row) -> Heard:
    """The row with its clip, which is at `place` of what the row calls it."""
    try:
        return Heard(row, ear.hear(place(row.audio)).windows())
    except AudioError as error:
        return Heard(row, [], str(error))


def heard_ahead(
    rows: Sequence[Row], size: int, listen: Callable[[Row], Heard]
) -> Iterator[list[Heard]]:
    """The rows with their clips, `size` at a time; the next ones are read meanwhile."""
    with ThreadPoolExecutor(READERS) as readers:
        waiting: list[Future[Heard]] = []
        for group in [*groups(rows, size), []]:
            coming = [readers.submit(listen, row) for row in group]
            if waiting:
                yield [future.result() for future in waiting]
            waiting = coming


def groups(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def is_instruct(model: Any, processor: Any) -> bool:
    """Whether a checkpoint was taught to take turns: it ends its own with `<|im_end|>`."""
    end = processor.tokenizer.convert_tokens_to_ids(TURN_END)
    return end in ends_of(model.generation_config)


class Respondent:
    """A model that answers rows of one task, shown to it in one form."""

    def __init__(
        self, model: Any, processor: Any, task: Task, form: Form, languages: Mapping[str, str]
    ) -> None:
        self.model, self.processor = model, processor
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
        asks: list[tuple[int, Ask]] = []
        found = [_blank(heard) for heard in rows]
        for place, heard in enumerate(rows):
            try:
                asks += [(place, ask) for ask in self.asks(heard)]
            except EvalError as error:
                found[place]["error"] = str(error)
        replies = self._in_batches([ask for _, ask in asks], batch_size)
        for place, prediction in enumerate(found):
            mine = [text for (owner, _), text in zip(asks, replies, strict=True) if owner == place]
            if mine:
                prediction |= self._outcome(mine, self.languages.get(prediction["source"]))
        return found

    def asks(self, heard: Heard) -> list[Ask]:
        """The prompts for one row: one a window, or one for all of them.

        Raises:
            EvalError: more than the model takes at once.
        """
        if heard.error or not heard.windows:
            return []
        together = self.task not in WINDOW_BY_WINDOW
        parts = [heard.windows] if together else [[window] for window in heard.windows]
        return [self._ask(heard.row, windows) for windows in parts]

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

    def _in_batches(self, asks: Sequence[Ask], batch_size: int) -> list[str | None]:
        """A reply to each, in order; None where the memory is too small for it."""
        order = sorted(range(len(asks)), key=lambda place: -asks[place].tokens)
        found: list[str | None] = [None] * len(asks)
        for places in groups(order, batch_size):
            replies = self._within_memory([asks[place] for place in places])
            for place, reply in zip(places, replies, strict=True):
                found[place] = reply
        return found

    def _within_memory(self, asks: Sequence[Ask]) -> list[str | None]:
        """The replies; a batch that does not fit the memory is halved."""
        try:
            return [*self._replies(asks)]
        except torch.OutOfMemoryError:
            if len(asks) == 1:
                return [None]
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

    @staticmethod
    def _outcome(replies: list[str | None], language: str | None) -> Prediction:
        whole = [reply for reply in replies if reply is not None]
        if len(whole) < len(replies):
            return {"error": "There is not enough memory for this row. Take --dtype bfloat16."}
        return {"response": joined(whole, language) if len(whole) > 1 else whole[0]}


def _blank(heard: Heard) -> Prediction:
    """The prediction of a row before its reply is known."""
    row = heard.row
    known: Prediction = {"row": row.number, "source": row.source}
    known |= {name: row.fields[name] for name in ("id",) if name in row.fields}
    known |= {"audio": row.audio, "prompt": row.prompt}
    known |= {} if row.reference is None else {"gt": row.reference}
    return known | ({"error": heard.error} if heard.error else {"windows": len(heard.windows)})
