"""What an engine is: something that streams the reply to a conversation.

This module knows no torch, no gradio and no network: `demo.local` is an engine on this machine,
`demo.remote` one behind a server, and `demo.loading` one that is still on its way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from demo.messages import Sentences, UserError

Conversation = list[dict[str, Any]]
"""The model card's form: turns of `role` and `content`, where a user's content is a list of
`{"type": "audio", "audio_url": …}` and `{"type": "text", "text": …}` parts."""


TOKENS_PER_SECOND = 25  # of audio

NOTHING = (  # what every engine says to a conversation that it is not to answer
    "There is nothing to answer: the conversation does not end with words or sound of a user.",
    "没有可回复的内容：对话的最后不是用户的文字或声音。",
)


class EngineError(UserError):
    """A reply cannot be made, or an engine cannot be built."""

    sentences: ClassVar[Sentences] = {}


def minutes_of(tokens: int) -> float:
    """How much audio so many tokens are."""
    return tokens / TOKENS_PER_SECOND / 60


@dataclass(frozen=True)
class Options:
    """How a reply is generated; None leaves the checkpoint's own default.

    `temperature` 0 is greedy; `seed` makes sampling repeatable.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None


class Waiting(str):
    """The empty piece of a reply that is not begun yet: `ahead` others are made before it."""

    ahead: int

    def __new__(cls, ahead: int) -> "Waiting":
        piece = super().__new__(cls)
        piece.ahead = ahead
        return piece


@dataclass(frozen=True)
class EngineInfo:
    """What the page and the terminal say about the engine that answers."""

    model: str  # as a person names it: "preview", "Qwen/Qwen2-Audio-7B-Instruct", a folder's name
    device: str  # "cuda (NVIDIA H100)", "cpu"
    dtype: str  # "bfloat16", "float32"; "" where a server does not tell
    context_tokens: int  # the longest prompt and reply together; 0 where a server does not tell
    preview: bool  # the small preview checkpoint answers
    defaults: Options  # the checkpoint's own, every field but seed set; a server's are unknown


MB = 10**6


@dataclass(frozen=True)
class Budgets:
    """What an engine may hold: bytes kept from turn to turn, and requests.

    0 bytes keep nothing, as in a process that ends with its request.
    """

    clips: int = 256 * MB  # about 20 minutes of the 7B's embeddings in bf16
    conversations: int = 4300 * MB  # one full context of the 7B in bf16
    waiting: int = 64  # requests in all
    each: int = 8  # of one user, the one that is being answered among them


@dataclass(frozen=True)
class Memory:
    """What an engine holds now, in bytes, and what it may keep at most."""

    weights: int
    clips: int
    conversations: int
    budgets: Budgets


@dataclass(frozen=True)
class Load:
    """What an engine has to do now, and since its start what it had not to do again."""

    waiting: int  # requests
    running: int
    tokens_kept: int = 0  # of prompts, from earlier turns
    tokens_fed: int = 0
    clips_kept: int = 0  # windows
    clips_heard: int = 0
    up: bool = True  # whether any of its servers answers, where it has some


class Engine(Protocol):
    info: EngineInfo

    def stream(
        self,
        conversation: Conversation,
        windows: Sequence[np.ndarray],
        options: Options,
        user: str = "",
    ) -> Iterator[str]:
        """The reply to `conversation`, in pieces of whole characters, "" while nothing is new.

        `windows` are the sounds of the conversation's audio parts in their order, one for each
        part: mono float32 at 16 kHz, at most 30 s. Nothing handed in is changed. `user` is whose
        request it is: users take turns, and who waits in line gets `Waiting` pieces. Closing
        the iterator ends the generation itself within 0.3 s.

        Raises:
            EngineError: too long for the context, out of memory, engine closed, too many wait.
        """
        ...

    def prepare(self, conversation: Conversation, windows: Sequence[np.ndarray]) -> None:
        """Work ahead on a conversation whose last turn is not finished; it may do nothing."""
        ...

    def memory(self) -> Memory | None:
        """What the engine holds on this machine; None where it runs on another."""
        ...

    def load(self) -> Load: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Item:
    """One of many to answer: a conversation, or a raw prompt, with its sounds as for `stream`.

    A raw prompt goes to the model as it is, in the way of the base model:
    `<|audio_bos|><|AUDIO|><|audio_eos|>` where each sound stands, and no turns.
    """

    asked: Conversation | str
    windows: Sequence[np.ndarray]


@dataclass(frozen=True)
class Answer:
    """What came of one of many: a text, or why there is none."""

    place: int  # of its item among those that were given
    text: str = ""
    error: UserError | None = None


@runtime_checkable
class BatchEngine(Engine, Protocol):
    """An engine that can also answer many at once; none has to be one."""

    def batch(
        self, items: Sequence[Item], options: Options, size: int | None = None, user: str = ""
    ) -> Iterator[Answer | None]:
        """Answers to `items` as they are done, in any order; None while nothing is new.

        With sampling off each is the text that `stream` gives. `size` is the most that are
        answered together, None for what fits the memory and is fast. Other requests come in
        between two batches. An item that cannot be answered stops no other. Closing the iterator
        ends the generation itself within 0.3 s.

        Raises:
            EngineError: the engine is closed, or an option is out of its range.
        """
        ...
