"""Stores with a byte budget that forget the least recently used first.

`ClipStore` keeps clips' embeddings, `PrefixStore` keeps conversations' key-value caches under the
tokens that they hold. Neither knows a model; sizes come from the tensors. Not thread safe: the
one inference thread owns them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from demo.caches import cache_bytes, copy_prefix, new_cache

Key = int | tuple[str, int]
"""What stands at a position: a token's id, or a clip's hash and the place in the clip. Two clips
of one length have the same ids, so ids alone would mix them up."""

SHARE = 0.5  # of an entry: a conversation that shares less than this gets a copy of the shared part


def common_prefix(one: Sequence[Key], other: Sequence[Key]) -> int:
    """How many positions at the start are the same."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


class ClipStore:
    """Embeddings by clip hash, at most `budget` bytes of them."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.bytes = 0
        self._kept: OrderedDict[str, torch.Tensor] = OrderedDict()

    def get(self, key: str) -> torch.Tensor | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, embeddings: torch.Tensor) -> None:
        self._drop(key)
        self._kept[key] = embeddings
        self.bytes += embeddings.nbytes
        while self.bytes > self.budget and self._kept:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: str) -> None:
        gone = self._kept.pop(key, None)
        self.bytes -= 0 if gone is None else gone.nbytes


@dataclass
class Prefix:
    """A cache and what it holds, one key for each position."""

    keys: list[Key]
    cache: DynamicCache


class PrefixStore:
    """Conversations' caches, at most `budget` bytes of them."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._kept: list[Prefix] = []  # least recently used first

    @property
    def bytes(self) -> int:
        return sum(cache_bytes(entry.cache) for entry in self._kept)

    def take(self, keys: Sequence[Key]) -> Prefix:
        """The longest kept start of `keys`, at least one short of all of them, as the caller's own.

        The last position is never part of it: a model that is fed nothing has no next token.
        """
        best = max(self._kept, key=lambda entry: common_prefix(entry.keys, keys), default=None)
        shared = 0 if best is None else min(common_prefix(best.keys, keys), len(keys) - 1)
        if best is None or shared == 0:
            return Prefix([], new_cache())
        if shared < SHARE * len(best.keys):
            return Prefix(list(keys[:shared]), copy_prefix(best.cache, shared))
        self._kept.remove(best)
        if (extra := len(best.keys) - shared) > 0:
            best.cache.crop(-extra)
        return Prefix(list(keys[:shared]), best.cache)

    def put(self, entry: Prefix) -> None:
        self._kept.append(entry)
        while self._kept and self.bytes > self.budget:
            self._kept.pop(0)

    def clear(self) -> None:
        self._kept.clear()
