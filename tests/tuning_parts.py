"""A tiny checkpoint, a few conversations, and the command that tunes the one on the other."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from finetune.base import Shape, build_base
from finetune.tokenizer import train_tokenizer
from tests.finetune_parts import tiny_encoder

RATE = 16_000
TEXTS = ["You are a helpful assistant.", "Audio 1: What is that? I hear a siren.", "你好"] * 9
TINY = Shape(width=32, layers=2, heads=2, key_value_heads=2, mlp=48)
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in a folder."""
    folder = tmp_path_factory.mktemp("tiny")
    encoder, tokenizer = tiny_encoder(folder / "encoder"), train_tokenizer(TEXTS, 400)
    model, processor = build_base(encoder, tokenizer, TINY, seed=1)
    model.save_pretrained(folder / "base")
    processor.save_pretrained(folder / "base")
    return folder / "base"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight conversations about four clips, some of two clips, one of none."""
    folder = tmp_path_factory.mktemp("lesson")
    for number in range(4):
        sound = np.random.default_rng(number).uniform(-0.2, 0.2, RATE + 999 * number)
        soundfile.write(folder / f"{number}.wav", sound, RATE)
    parts = [{"type": "audio", "audio_url": f"{number}.wav"} for number in range(4)]
    asked = {"type": "text", "text": "What is that?"}
    contents = [[part, asked] for part in parts] + [[one, parts[0], asked] for one in parts[1:]]
    turns = [
        [{"role": "user", "content": content}, {"role": "assistant", "content": f"A siren {n}."}]
        for n, content in enumerate([*contents, "Hello"])
    ]
    lines = [json.dumps({"messages": one}) for one in turns]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "train.jsonl"


def words(base: Path, manifest: Path, output: Path, *more: str) -> list[str]:
    given = f"--model {base} --train {manifest} --output {output} --device cpu"
    return [*given.split(), "--batch-tokens", "120", "--learning-rate", "1e-2", *more]


def adapter(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "adapter" / WEIGHTS)


def near(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], most: float = 0.0) -> bool:
    assert one.keys() == other.keys()
    return all(torch.allclose(one[name], other[name], atol=most, rtol=0) for name in one)


LORA = ("--lora", "--lora-dropout", "0", "--steps", "4")
