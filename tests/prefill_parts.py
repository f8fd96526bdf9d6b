"""A small model with random weights, its engine, and the replies of plain Transformers."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoProcessor, Qwen2AudioForConditionalGeneration

from demo.checkpoint import PREVIEW
from demo.decoding import Pieces
from demo.engine import Budgets, Conversation, EngineInfo, Options
from demo.local import LocalEngine

Small = tuple[Any, Any, Any]
"""The engine's model, the processor, and the same model for plain Transformers."""

RATE = 16_000
GREEDY = Options(max_new_tokens=6, temperature=0.0, top_p=1.0, top_k=50, repetition_penalty=1.0)


@pytest.fixture(scope="module")
def small() -> Small:
    """A model of random weights in the preview's shape, but thinner; and its processor."""
    torch.manual_seed(0)
    config: Any = AutoConfig.from_pretrained(PREVIEW)
    audio, text = config.audio_config, config.text_config
    audio.d_model, audio.encoder_attention_heads, audio.encoder_layers = 48, 2, 1
    audio.encoder_ffn_dim = 64
    text.hidden_size, text.num_attention_heads, text.num_key_value_heads = 64, 2, 2
    text.intermediate_size, text.num_hidden_layers = 96, 2
    text.layer_types, text.initializer_range = ["full_attention"] * 2, 0.3
    model = Qwen2AudioForConditionalGeneration(config).eval()
    # Plain Transformers gets weights of its own: the engine stops its model by hooks in it.
    return model, AutoProcessor.from_pretrained(PREVIEW), copy.deepcopy(model)


def build(small: Small, budgets: Budgets) -> LocalEngine:
    info = EngineInfo("small", "cpu", "float32", 8192, False, GREEDY)
    return LocalEngine(small[0], small[1], info, budgets)


@dataclass(frozen=True)
class Turn:
    """A user's turn: its clips as (seed, tenths of a second), and its words."""

    clips: tuple[tuple[int, int], ...]
    words: str


def sound(clip: tuple[int, int]) -> np.ndarray:
    seed, tenths = clip
    drawn = np.random.default_rng(seed).normal(0, 0.1, tenths * RATE // 10)
    return drawn.astype(np.float32)


def asked(turns: list[tuple[Turn, str]]) -> tuple[Conversation, list[np.ndarray]]:
    """The conversation of turns and their replies, the last of them still open."""
    conversation: Conversation = []
    windows: list[np.ndarray] = []
    for turn, reply in turns:
        parts = [{"type": "audio", "audio_url": "clip"} for _ in turn.clips]
        content = [*parts, {"type": "text", "text": turn.words}]
        conversation += [{"role": "user", "content": content}]
        conversation += [{"role": "assistant", "content": reply}]
        windows += [sound(clip) for clip in turn.clips]
    return conversation[:-1], windows


def plain_ids(small: Small, turns: list[tuple[Turn, str]], options: Options) -> list[int]:
    """The reply's tokens by plain Transformers, everything computed anew."""
    _, processor, model = small
    conversation, windows = asked(turns)
    text = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    given_sound = {"audio": windows, "sampling_rate": RATE} if windows else {}
    inputs = processor(text=text, **given_sound, return_tensors="pt")
    how: dict[str, Any] = {"do_sample": False}
    if options.temperature:
        torch.manual_seed(options.seed or 0)
        how = {"do_sample": True, "temperature": options.temperature, "top_p": options.top_p}
    ids = model.generate(
        **inputs,
        **how,
        top_k=options.top_k,
        repetition_penalty=options.repetition_penalty,
        max_new_tokens=options.max_new_tokens,
    )
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


def engine_ids(engine: LocalEngine, turns: list[tuple[Turn, str]], options: Options) -> list[int]:
    """The reply's tokens as the engine draws them."""
    drawn: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pieces, "add", lambda self, token: drawn.append(token))
        list(engine.stream(*asked(turns), options))
    return drawn
