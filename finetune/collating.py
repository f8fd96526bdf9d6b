"""Conversations into batches: which go together, and how they are padded and filled with sound.

This module knows neither where conversations come from nor what is learned from them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from finetune.rendering import IGNORED, Conversation, Renderer, audio_parts
from finetune.store import FeatureStore
from finetune.student import Batch
from finetune.traits import trait_ids

TEXT_LETTERS_PER_TOKEN = 3.5
TURN_TOKENS = 12
FEWEST_TOKENS = 66  # what a conversation counts for at least: short ones cost more than tokens


def guessed_tokens(conversation: Conversation, store: FeatureStore) -> int:
    """Roughly how long a conversation is, without rendering it."""
    heard = sum(store.tokens(part["audio_url"]) for part in audio_parts(conversation))
    words = [
        part.get("text", "")
        for turn in conversation
        for part in (
            [{"text": turn["content"]}] if isinstance(turn["content"], str) else turn["content"]
        )
    ]
    letters = sum(len(word.encode()) for word in words)
    return heard + int(letters / TEXT_LETTERS_PER_TOKEN) + TURN_TOKENS * len(words)


class TokenBatches(Sampler[list[int]]):
    """Batches of conversations of like length, each at most `budget` tokens with its padding.

    The same for the same seed; each of several `epochs` is drawn anew. Sorting happens inside
    chunks of the shuffled data, so that no batch is made of what happens to lie beside each other
    in the manifest.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        budget: int,
        seed: int,
        chunk: int = 2048,
        epochs: int = 1,
    ) -> None:
        rng = np.random.default_rng(seed)
        sizes = np.asarray(lengths)
        self.batches: list[list[int]] = []
        for _ in range(epochs):
            order = rng.permutation(len(lengths))
            most = max(1, budget // FEWEST_TOKENS)
            for start in range(0, len(order), chunk):
                part = order[start : start + chunk]
                alike = part[np.argsort(sizes[part], kind="stable")]
                batches = list(_filled(alike.tolist(), sizes, budget, most))
                self.batches += [batches[place] for place in rng.permutation(len(batches))]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _filled(order: list[int], sizes: np.ndarray, budget: int, most: int) -> Iterator[list[int]]:
    """Cut a list sorted by length into batches; one conversation over the budget goes alone."""
    batch: list[int] = []
    for place in order:
        if batch and (len(batch) == most or (len(batch) + 1) * sizes[place] > budget):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


class FeatureCollator:
    """Conversations whose clips lie in a store -> the batch that `Student.forward` takes."""

    def __init__(self, renderer: Renderer, store: FeatureStore, multiple: int = 16) -> None:
        self.renderer, self.store, self.multiple = renderer, store, multiple

    def __call__(self, conversations: Sequence[Conversation]) -> Batch:
        rendered = [self.renderer.render(conv, self._tokens) for conv in conversations]
        length = max(len(row.ids) for row in rendered)
        length = -(-length // self.multiple) * self.multiple
        parts = [part for row in rendered for part in row.audio]
        clips = [self.store.variant(part["audio_url"]) for part in parts]
        texts = [self.renderer.text_ids(part.get("transcript", "")) for part in parts]
        return {
            "input_ids": _padded([row.ids for row in rendered], length, self.renderer.end),
            "labels": _padded([row.labels for row in rendered], length, IGNORED),
            "features": self._joined(clips),
            "clip_frames": torch.tensor([len(clip) for clip in clips], dtype=torch.long),
            "transcripts": torch.tensor([t for text in texts for t in text], dtype=torch.long),
            "transcript_lengths": torch.tensor([len(text) for text in texts], dtype=torch.long),
            "traits": torch.tensor([trait_ids(part) for part in parts], dtype=torch.long),
        }

    def _tokens(self, part: dict[str, Any]) -> int:
        return self.store.tokens(part["audio_url"])

    def _joined(self, clips: list[np.ndarray]) -> torch.Tensor:
        if not clips:
            return torch.zeros(0, self.store.width, dtype=torch.float16)
        return torch.from_numpy(np.concatenate(clips))


def _padded(rows: list[list[int]], length: int, filler: int) -> torch.Tensor:
    return torch.tensor([row + [filler] * (length - len(row)) for row in rows])
