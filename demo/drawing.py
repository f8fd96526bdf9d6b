"""Tokens after a prefilled prompt: by `generate()` on the conversation's cache, or compiled.

Compiled, each token is drawn on a static cache, whose shape never changes, so that the step is
compiled once (with CUDA graphs on CUDA). Static caches come in sizes that double, since a step
reads all of one; the conversation's own cache is copied in before and out after. This module
runs on the inference thread and knows neither queue nor conversations.
"""

from collections.abc import Callable
from threading import Event
from typing import Any

import torch
from transformers import DynamicCache, StaticCache
from transformers.generation.configuration_utils import CompileConfig, GenerationConfig

from demo.caches import copy_prefix, layers_of
from demo.decoding import Pieces, StopOn, ends_of
from demo.stores import Prefix

SMALLEST = 512  # positions of the smallest static cache


class Drawer:
    """Draws replies with one model; `compiled` None leaves the step as it is."""

    def __init__(self, model: Any, tokenizer: Any, compiled: CompileConfig | None = None) -> None:
        self._model, self._tokenizer, self._compiled = model, tokenizer, compiled
        self._context: int = model.config.get_text_config().max_position_embeddings
        self._static: dict[int, StaticCache] = {}

    def draw(
        self,
        ids: list[int],
        entry: Prefix,
        config: GenerationConfig,
        emit: Callable[[str], None],
        stop: Event,
    ) -> tuple[list[int], DynamicCache]:
        """The reply's ids to the prompt `ids`, and the cache of all but the last of them.

        `entry` holds the prompt but its last token, or its last few where nothing is compiled;
        its cache is the reply's afterwards.
        """
        pieces = Pieces(self._tokenizer.backend_tokenizer, emit)
        if self._compiled is None:
            return self._generate(ids, entry.cache, config, pieces, stop), entry.cache
        return self._generate_in_steps(ids, entry.cache, config, pieces, stop)

    def clear(self) -> None:
        """Gives the static caches' memory back; the next reply takes it anew."""
        self._static.clear()

    def _generate(
        self, ids: list[int], cache: Any, config: GenerationConfig, pieces: Pieces, stop: Event
    ) -> list[int]:
        pieces.begin()
        prompt = torch.tensor([ids], device=self._model.device)
        drawn = self._model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            past_key_values=cache,
            generation_config=config,
            streamer=pieces,
            stopping_criteria=[StopOn(stop)],
        )
        return drawn[0, len(ids) :].tolist()

    def _generate_in_steps(
        self, ids: list[int], cache: DynamicCache, wanted: GenerationConfig, pieces: Pieces,
        stop: Event,
    ) -> tuple[list[int], DynamicCache]:  # fmt: skip
        """On static caches, from one to the next size where a reply outgrows it."""
        start, left, ends = len(ids), wanted.max_new_tokens or 1, ends_of(wanted)
        while True:
            size = self._size_for(len(ids) + min(left, SMALLEST // 2))
            config = GenerationConfig.from_dict(wanted.to_dict())
            config.max_new_tokens = min(left, size - len(ids) + 1)
            config.compile_config = self._compiled
            static = self._filled(size, cache)
            new = self._generate(ids, static, config, pieces, stop)
            ids, left = [*ids, *new], left - len(new)
            cache = copy_prefix(static, len(ids) - 1)
            if stop.is_set() or not left or len(new) < config.max_new_tokens or ids[-1] in ends:
                return ids[start:], cache

    def _size_for(self, tokens: int) -> int:
        size = SMALLEST
        while size < min(tokens, self._context):
            size *= 2
        return size

    def _filled(self, size: int, cache: DynamicCache) -> StaticCache:
        """The static cache of `size`, holding what `cache` holds."""
        if size not in self._static:
            config = self._model.config.get_text_config()
            self._static[size] = StaticCache(config=config, max_cache_len=size)
        static = self._static[size]
        for layer in static.layers:
            layer.cumulative_length.zero_()  # pyright: ignore[reportAttributeAccessIssue]
        for number, (keys, values) in enumerate(layers_of(cache)):
            static.update(keys, values, number)
        return static
