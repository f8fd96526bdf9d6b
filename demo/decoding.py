"""How tokens are drawn and how they become text: `Options` -> generation config, ids -> pieces.

It knows torch and transformers' generation, but no model: what it needs of one is handed in.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

import torch
from tokenizers.decoders import DecodeStream
from transformers.generation.configuration_utils import GenerationConfig
from transformers.generation.stopping_criteria import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from demo.engine import EngineError, Options
from demo.messages import Sentences
from demo.streaming import StoppedError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NEW_TOKENS = 1024  # where the checkpoint's generation config names no limit
NEUTRAL = {"temperature": 1.0, "top_p": 1.0, "top_k": 50}  # greedy: transformers' own defaults

SENTENCES: Sentences = {
    "max_new_tokens": (
        "The longest reply is set to {value} tokens; it must be 1 or more.",
        "回复长度上限设为 {value} 个词元；至少应为 1。",
    ),
    "temperature": (
        "The temperature is set to {value}; it must be 0 (no sampling) or more.",
        "温度设为 {value}；应为 0（不采样）或更大。",
    ),
    "top_p": (
        "Top-p is set to {value}; it must be above 0 and at most 1.",
        "Top-p 设为 {value}；应大于 0 且不超过 1。",
    ),
    "top_k": (
        "Top-k is set to {value}; it must be a whole number, 0 (no limit) or more.",
        "Top-k 设为 {value}；应为整数，0（不限）或更大。",
    ),
    "repetition_penalty": (
        "The repetition penalty is set to {value}; it must be above 0 (1 is none).",
        "重复惩罚设为 {value}；应大于 0（1 表示不惩罚）。",
    ),
    "seed": (
        "The seed is set to {value}; it must be a whole number from 0 to 2^63 - 1.",
        "随机种子设为 {value}；应为 0 到 2^63 - 1 的整数。",
    ),
}

ALLOWED: dict[str, Callable[[Any], bool]] = {
    "max_new_tokens": lambda value: isinstance(value, int) and value >= 1,
    "temperature": lambda value: 0 <= value < float("inf"),
    "top_p": lambda value: 0 < value <= 1,
    "top_k": lambda value: isinstance(value, int) and value >= 0,
    "repetition_penalty": lambda value: 0 < value < float("inf"),
    "seed": lambda value: isinstance(value, int) and 0 <= value < 2**63,
}
WHOLE = ("max_new_tokens", "top_k", "seed")


class OptionError(EngineError):
    """A generation option is out of its range."""

    sentences = SENTENCES


def defaults_of(config: GenerationConfig) -> Options:
    """The checkpoint's own way to generate, every field but the seed set."""
    return Options(
        max_new_tokens=config.max_new_tokens or NEW_TOKENS,
        temperature=_or(config.temperature, 1.0) if config.do_sample else 0.0,
        top_p=_or(config.top_p, 1.0),
        top_k=_or(config.top_k, 50),
        repetition_penalty=_or(config.repetition_penalty, 1.0),
    )


def merged(options: Options, defaults: Options) -> Options:
    """`options` with what they leave open taken from `defaults`.

    Raises:
        OptionError: a value is out of its range.
    """
    values = {
        name: default if (given := getattr(options, name)) is None else given
        for name, default in vars(defaults).items()
    }
    for name, value in values.items():
        if value is not None and not ALLOWED[name](value):
            raise OptionError(name, value=value)
    return Options(**{name: _as_drawn(name, value) for name, value in values.items()})


def _as_drawn(name: str, value: Any) -> Any:
    """A number as `generate()` takes it, which refuses a temperature of 2 that is no float."""
    return value if value is None or name in WHOLE else float(value)


def generation_config(base: GenerationConfig, options: Options, room: int) -> GenerationConfig:
    """The checkpoint's config with `options` (all set) in it, the reply clipped to `room`."""
    config = copy.deepcopy(base)
    config.max_length = None
    config.max_new_tokens = min(options.max_new_tokens or NEW_TOKENS, room)
    config.repetition_penalty = options.repetition_penalty
    config.do_sample = bool(options.temperature)
    drawn = {name: getattr(options, name) for name in NEUTRAL}
    for name, value in (drawn if config.do_sample else NEUTRAL).items():
        setattr(config, name, value)
    return config


def ends_of(config: GenerationConfig) -> list[int]:
    """The tokens that end a reply."""
    ends = config.eos_token_id
    return list(ends) if isinstance(ends, list) else [] if ends is None else [int(ends)]


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draws from `seed`, and leaves the random states of the process as they were."""
    if seed is None:
        yield
        return
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


class Pieces(BaseStreamer):
    """Hands the text of new tokens on as soon as it is whole characters.

    Linear in the reply's length. Bytes at the reply's end that are no whole character are dropped.
    """

    def __init__(self, tokenizer: "Tokenizer", emit: Callable[[str], None]) -> None:
        self._tokenizer = tokenizer
        self._emit = emit
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._prompt_seen = False

    def begin(self) -> None:
        """A generate() begins, be it one that goes on with the same reply."""
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        if not self._prompt_seen:  # generate() puts the prompt first
            self._prompt_seen = True
            return
        for token in value.flatten().tolist():
            self.add(token)

    def add(self, token: int) -> None:
        try:
            piece = self._decoder.step(self._tokenizer, token)
        except Exception:  # the bindings raise a bare one where bytes before it were no character
            self._decoder = DecodeStream(skip_special_tokens=True)
            piece = self._decoder.step(self._tokenizer, token)
        if piece:
            self._emit(piece)

    def end(self) -> None:
        """What is left is half a character."""


class StopOn(StoppingCriteria):
    """Ends the generation before its next token once the event is set."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        return torch.full((len(input_ids),), self._stop.is_set(), device=input_ids.device)


@contextmanager
def stoppable(model: Any, stop: Event) -> Iterator[None]:
    """Lets `stop` end a forward pass of a Qwen2-Audio between two layers, as in a long prefill.

    Raises:
        StoppedError: in the thread that runs the model, once the event is set.
    """

    def check(module: torch.nn.Module, args: object) -> None:
        if stop.is_set():
            raise StoppedError

    layers = [*model.model.audio_tower.layers, *model.model.language_model.layers]
    handles = [layer.register_forward_pre_hook(check) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
