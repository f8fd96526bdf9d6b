"""Many prompts answered together: padded on the left, fed in chunks, drawn by `generate()`.

Left padding leaves every prompt's last token in the last column, so each row gets the reply that
it would get alone. Sounds are heard on their own frames, several at a time. This module runs on
the inference thread and knows neither queue nor conversations; how many prompts go together is
`demo.lots`'s matter, which asks here how many fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import torch
from transformers import DynamicCache
from transformers.generation.configuration_utils import GenerationConfig

from demo.caches import new_cache
from demo.decoding import Pieces, StopOn, ends_of, seeded, stoppable
from demo.encoder import embed_together, log_mels
from demo.memory import free_bytes
from demo.prefill import CHUNK_TOKENS, Prompt
from demo.streaming import StoppedError

HEARD_TOGETHER = 8  # clips; more gain nothing and need more memory
SHARE = 0.5  # of the free memory: the rest is for what no formula counts
REPLY_TOKENS = 512  # that a row is expected to need at most; a longer reply may halve the batch
FASTEST = {"cpu": 8}  # rows together, as benchmarks/batch.py has told; elsewhere more is faster
BESIDE = {"cpu": 2}  # where somebody may wait for them, and more would take too long
MOST = 64


@dataclass(frozen=True)
class Padded:
    """Prompts as one rectangle (rows, positions), their ends in the last column."""

    ids: torch.Tensor
    mask: torch.Tensor  # 1 where a prompt has a token
    heard: torch.Tensor  # which of the sounds' embeddings stands there, -1 for none
    sounds: torch.Tensor  # (all the sounds' tokens, hidden)

    @property
    def positions(self) -> torch.Tensor:
        return (self.mask.cumsum(-1) - 1).clamp(min=0)


@dataclass(frozen=True)
class Request:
    """A reply that was asked for: what goes into the model, and how it is drawn."""

    prompt: Prompt
    config: GenerationConfig
    seed: int | None
    user: str = ""  # whose request it is
    late: bool = False  # it is of a batch, and others go before it

    @property
    def tokens(self) -> int:
        return len(self.prompt.ids)

    @property
    def new(self) -> int:
        """The most tokens that the reply may have."""
        return self.config.max_new_tokens or 1


class Batcher:
    """Answers several prompts with one model."""

    def __init__(self, model: Any, tokenizer: Any, extractor: Any) -> None:
        self._model, self._tokenizer, self._extractor = model, tokenizer, extractor

    def fitting(self, tokens: int, new: int, beside: bool = False) -> int:
        """How many prompts of so many tokens, with replies of `new`, are best drawn together.

        `beside` says that others may wait for them to be done.
        """
        device = self._model.device
        room = SHARE * free_bytes(device) / self._row_bytes(tokens + min(new, REPLY_TOKENS))
        best = {**FASTEST, **(BESIDE if beside else {})}.get(device.type, MOST)
        return max(1, min(int(room), best))

    def answer(self, requests: Sequence[Request], stop: Event) -> list[str]:
        """The replies to `requests`, which were asked for with one set of options.

        Raises:
            StoppedError: once `stop` is set.
        """
        longest = max(requests, key=lambda request: request.new)
        prompts = [request.prompt for request in requests]
        with stoppable(self._model, stop), seeded(longest.seed, self._model.device):
            drawn = self._drawn(prompts, longest.config, stop)
        pairs = zip(drawn, requests, strict=True)
        return [self._text(tokens[: request.new]) for tokens, request in pairs]

    @torch.inference_mode()
    def _drawn(
        self, prompts: Sequence[Prompt], config: GenerationConfig, stop: Event
    ) -> list[list[int]]:
        batch = self._padded(prompts)
        drawn = self._model.generate(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            past_key_values=self._filled(batch),
            generation_config=config,
            stopping_criteria=[StopOn(stop)],
        )
        if stop.is_set():
            raise StoppedError
        ends = ends_of(config)
        return [_until(ends, row) for row in drawn[:, batch.ids.shape[1] :].tolist()]

    def _text(self, tokens: Sequence[int]) -> str:
        """What the tokens say, by the decoder that streams a single reply."""
        said: list[str] = []
        pieces = Pieces(self._tokenizer.backend_tokenizer, said.append)
        for token in tokens:
            pieces.add(token)
        return "".join(said)

    def _padded(self, prompts: Sequence[Prompt]) -> Padded:
        starts, sounds = self._sounds(prompts)
        width = max(len(prompt.ids) for prompt in prompts)
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        mask, heard = torch.zeros_like(ids), torch.full_like(ids, -1)
        for row, prompt in enumerate(prompts):
            own = slice(width - len(prompt.ids), None)
            ids[row, own] = torch.tensor(prompt.ids)
            mask[row, own] = 1
            places = [starts[key[0]] + key[1] if isinstance(key, tuple) else -1
                      for key in prompt.keys]  # fmt: skip
            heard[row, own] = torch.tensor(places)
        # A pad is any token: nothing attends to it, but a repetition penalty would count it.
        ids = torch.where(mask.bool(), ids, ids[:, -1:])
        device = self._model.device
        return Padded(ids.to(device), mask.to(device), heard.to(device), sounds)

    def _sounds(self, prompts: Sequence[Prompt]) -> tuple[dict[str, int], torch.Tensor]:
        """All the sounds' embeddings one after another, and where each sound's begin."""
        windows = {key: window for prompt in prompts for key, window in prompt.windows.items()}
        hashes, clips = list(windows), list(windows.values())
        embeddings: list[torch.Tensor] = []
        for first in range(0, len(clips), HEARD_TOGETHER):
            part = clips[first : first + HEARD_TOGETHER]
            mels, frames = log_mels(self._extractor, part, self._model.device.type)
            embeddings += embed_together(self._model, mels, frames)
        starts, at = {}, 0
        for key, one in zip(hashes, embeddings, strict=True):
            starts[key], at = at, at + len(one)
        return starts, torch.cat(embeddings) if embeddings else torch.empty(0)

    def _filled(self, batch: Padded) -> DynamicCache:
        """The key-value cache of all columns but the last."""
        cache = new_cache()
        end, positions = batch.ids.shape[1] - 1, batch.positions
        for start in range(0, end, CHUNK_TOKENS):
            part = slice(start, min(start + CHUNK_TOKENS, end))
            embeds = self._model.get_input_embeddings()(batch.ids[:, part])
            heard = batch.heard[:, part]
            embeds[heard >= 0] = batch.sounds[heard[heard >= 0]].to(embeds.dtype)
            self._model.model.language_model(
                inputs_embeds=embeds,
                attention_mask=batch.mask[:, : part.stop],
                position_ids=positions[:, part],
                past_key_values=cache,
                use_cache=True,
            )
        return cache

    def _row_bytes(self, tokens: int) -> int:
        """What one row of so many tokens takes: its cache, a chunk's activations, its logits."""
        text = self._model.config.get_text_config()
        number = self._model.dtype.itemsize
        width = text.hidden_size // text.num_attention_heads
        cache = 2 * tokens * text.num_hidden_layers * text.num_key_value_heads * width
        chunk = CHUNK_TOKENS * (8 * text.hidden_size + 3 * text.intermediate_size)
        return number * (cache + chunk + 2 * text.vocab_size) + 8 * text.vocab_size


def _until(ends: Sequence[int], row: Sequence[int]) -> list[int]:
    return list(row[: next((at for at, token in enumerate(row) if token in ends), None)])
