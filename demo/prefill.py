"""Prompt -> key-value cache, at the cost of what is new in it.

A prompt's longest start that is kept from before is taken over, and the rest is fed in chunks;
sounds are fed as embeddings, which are kept by their content. Drawing tokens is `generate()`'s:
it gets a cache that lacks only the prompt's last words. This module runs on the inference thread
and knows neither queue nor text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby, takewhile
from typing import Any

import numpy as np
import torch

from demo.attention import NAME, causal_mask
from demo.encoder import embed, log_mel, mel_frames, tokens_of
from demo.engine import Budgets
from demo.stores import ClipStore, Key, Prefix, PrefixStore

CHUNK_TOKENS = 256  # a stop is seen between two chunks, and no chunk needs much memory
CUDA_CHUNK_TOKENS = 512  # an H200 feeds so many to the 7B in the 25 ms that 256 take
TAIL_TOKENS = 32  # of text that the first step may feed: few cost it hardly more than one


@dataclass(frozen=True)
class Prompt:
    """A rendered conversation as tokens, and what stands at each of their positions."""

    ids: list[int]
    keys: list[Key]
    windows: dict[str, np.ndarray]  # mono float32, by the hash that `keys` use

    @property
    def tail(self) -> int:
        """How many of the last tokens are text that the first step of drawing can feed."""
        last = self.keys[-TAIL_TOKENS:]
        text = takewhile(lambda key: not isinstance(key, tuple), reversed(last))
        return max(1, sum(1 for _ in text))


def build_prompt(
    text: str, windows: Sequence[np.ndarray], tokenizer: Any, audio_id: int, extractor: Any
) -> Prompt:
    """The tokens of `text`, each audio token repeated as often as its window needs."""
    hashes = [blake2b(window.tobytes(), digest_size=16).hexdigest() for window in windows]
    sounds = iter(zip(hashes, windows, strict=True))
    keys: list[Key] = []
    for token in tokenizer(text, verbose=False)["input_ids"]:  # it warns of any long text
        if token == audio_id:
            digest, window = next(sounds)
            count = tokens_of(mel_frames(extractor, window))
            keys += [(digest, place) for place in range(count)]
        else:
            keys.append(token)
    ids = [audio_id if isinstance(key, tuple) else key for key in keys]
    return Prompt(ids, keys, dict(zip(hashes, windows, strict=True)))


class Prefiller:
    """Brings prompts into key-value caches, with what its two stores have of them."""

    def __init__(self, model: Any, extractor: Any, budgets: Budgets) -> None:
        self._model = model
        self._extractor = extractor
        self._chunk = CUDA_CHUNK_TOKENS if model.device.type == "cuda" else CHUNK_TOKENS
        self.clips = ClipStore(budgets.clips)
        self.prefixes = PrefixStore(budgets.conversations)
        self.kept = self.fed = self.recalled = self.heard = 0  # tokens, tokens, clips, clips

    @torch.inference_mode()
    def fill(self, prompt: Prompt, check: Callable[[], None], tail: int = 1) -> Prefix:
        """A cache of the prompt but its last `tail` tokens or fewer, the caller's until `keep`.

        `check` is called between chunks and raises where the work must end; whole chunks go
        back to the store then, and a cache whose feeding broke off is dropped.
        """
        entry = self.prefixes.take(prompt.keys)
        self.kept += len(entry.keys)
        sounds: dict[str, torch.Tensor] = {}
        end = len(prompt.ids) - tail
        try:
            while (start := len(entry.keys)) < end:
                check()
                stop = min(start + self._chunk, end)
                self._feed(prompt, sounds, entry, start, stop)
                entry.keys.extend(prompt.keys[start:stop])
                self.fed += stop - start
        except Exception:
            self.keep(entry, entry.keys)
            raise
        return entry

    def keep(self, entry: Prefix, keys: list[Key]) -> None:
        """Gives a cache that holds `keys` back to the store, if it does hold just these."""
        if entry.cache.get_seq_length() == len(keys):
            self.prefixes.put(Prefix(keys, entry.cache))

    @property
    def empty(self) -> bool:
        """Whether nothing is kept, so that `clear` would free nothing."""
        return not (self.clips.bytes or self.prefixes.bytes)

    def clear(self) -> None:
        self.clips.clear()
        self.prefixes.clear()

    def _feed(
        self, prompt: Prompt, sounds: dict[str, torch.Tensor], entry: Prefix, start: int, stop: int
    ) -> None:
        ids = torch.tensor([prompt.ids[start:stop]], device=self._model.device)
        embeds = self._model.get_input_embeddings()(ids)
        places = enumerate(prompt.keys[start:stop])
        heard = ((place, key) for place, key in places if isinstance(key, tuple))
        for digest, run in groupby(heard, key=lambda one: one[1][0]):
            here, within = zip(*((place, key[1]) for place, key in run), strict=True)
            if digest not in sounds:
                sounds[digest] = self._sound(digest, prompt.windows[digest])
            embeds[0, list(here)] = sounds[digest][list(within)].to(embeds.dtype)
        decoder = self._model.model.language_model
        own = decoder.config._attn_implementation not in ("sdpa", NAME)
        decoder(
            inputs_embeds=embeds,
            attention_mask=None if own else causal_mask(start, stop, embeds),
            past_key_values=entry.cache,
            use_cache=True,
        )

    def _sound(self, digest: str, window: np.ndarray) -> torch.Tensor:
        kept = self.clips.get(digest)
        self.recalled += kept is not None
        if kept is None:
            self.heard += 1
            mel, frames = log_mel(self._extractor, window, self._model.device.type)
            kept = embed(self._model, mel, frames)
            self.clips.put(digest, kept)
        return kept
