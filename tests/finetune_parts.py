"""What tests of training share: a tiny random model, noise to hear and a talk about it."""

from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2AudioEncoder, Qwen2AudioEncoderConfig

from finetune.base import Shape, build_base
from finetune.tokenizer import train_tokenizer

TEXTS = ["You are a helpful assistant.", "Audio 1: What is that sound? I hear a siren.", "你好"] * 9
TINY = Shape(width=32, layers=3, heads=2, key_value_heads=2, mlp=48)


def tiny_encoder(folder: Path, layers: int = 2, mlp: int = 64) -> str:
    """A folder with a tiny random encoder."""
    torch.manual_seed(0)
    config = Qwen2AudioEncoderConfig(
        num_mel_bins=80,
        encoder_layers=layers,
        encoder_attention_heads=2,
        encoder_ffn_dim=mlp,
        d_model=32,
    )
    Qwen2AudioEncoder(config).save_pretrained(folder)
    return str(folder)


def tiny_model(folder: Path):
    """A tiny model and its processor; its encoder is left in `folder`."""
    return build_base(tiny_encoder(folder), train_tokenizer(TEXTS, 400), TINY, seed=1)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1).astype(np.float32)


def talk(url: str, reply: str) -> list[dict]:
    part = {"type": "audio", "audio_url": url, "transcript": "A siren"}
    question = {"type": "text", "text": "What is that sound?"}
    return [{"role": "user", "content": [part, question]}, {"role": "assistant", "content": reply}]
