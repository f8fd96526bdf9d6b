"""`python -m finetune` on a tiny model: LoRA and full, stopped and resumed, in two processes."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from transformers import (
    AutoProcessor,
    Qwen2AudioEncoder,
    Qwen2AudioEncoderConfig,
    Qwen2AudioForConditionalGeneration,
    TrainingArguments,
)

from finetune import training
from finetune.__main__ import main
from finetune.base import Shape, build_base
from finetune.student import Student
from finetune.tokenizer import train_tokenizer
from finetune.training import Recipe, arguments
from tests.model_card import ModelCard

ROOT = Path(__file__).parents[1]
RATE = 16_000
TEXTS = ["You are a helpful assistant.", "Audio 1: What is that? I hear a siren.", "你好"] * 9
TINY = Shape(width=32, layers=2, heads=2, key_value_heads=2, mlp=48)
WEIGHTS = "adapter_model.safetensors"
DEEPSPEED = ROOT / "finetune" / "deepspeed"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in a folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    config = Qwen2AudioEncoderConfig(
        num_mel_bins=80,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        d_model=32,
    )
    Qwen2AudioEncoder(config).save_pretrained(folder / "encoder")
    tokenizer = train_tokenizer(TEXTS, 400)
    model, processor = build_base(str(folder / "encoder"), tokenizer, TINY, seed=1)
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


@pytest.fixture(scope="module")
def learned(base: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of four steps of a LoRA."""
    output = tmp_path_factory.mktemp("learned")
    main(words(base, manifest, output, *LORA, "--eval", str(manifest)))
    return output


def test_a_lora_is_alone_trained_and_alone_written(base: Path, learned: Path):
    names = adapter(learned)
    layers = {name.partition(".lora_")[0].rpartition("layers.")[2] for name in names}
    kinds = {layer.partition(".")[2] for layer in layers}
    attention = {f"self_attn.{one}_proj" for one in "qkvo"}
    assert kinds == attention | {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}
    assert all("language_model" in name and ".lora_" in name for name in names)
    assert any(value.any() for name, value in names.items() if "lora_B" in name)
    (save,) = (learned / "run").glob("checkpoint-*")
    assert len(load_file(save / "model.safetensors")) == len(names)
    config = json.loads((learned / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)


def test_it_prints_what_it_trains_and_the_loss_before_and_after(
    base: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    more = ("--lora", "--steps", "30", "--eval", str(manifest))
    main(words(base, manifest, tmp_path / "out", *more))
    said = capsys.readouterr().out
    assert "8 conversations; 30 steps train " in said
    before, after = (
        float(said.split(f"loss on train.jsonl{when}: ")[1].split()[0])
        for when in (" before training", "")
    )
    assert after < before - 0.3


@pytest.mark.parametrize(
    ("more", "adapted"),
    [
        (["--lora-projector"], "multi_modal_projector.linear"),
        (["--lora-encoder", "--gradient-checkpointing"], "audio_tower.layers.0.fc1"),
    ],
)
def test_projector_and_encoder_are_adapted_where_asked_for(
    base: Path, manifest: Path, tmp_path: Path, more: list[str], adapted: str
):
    main(words(base, manifest, tmp_path / "out", *LORA, *more))
    weight = adapter(tmp_path / "out")[f"base_model.model.model.{adapted}.lora_B.weight"]
    assert weight.any()


@pytest.mark.parametrize("layers", [0, 1])
def test_all_weights_are_trained_but_for_the_encoders_lower_layers(
    base: Path, manifest: Path, tmp_path: Path, layers: int
):
    main(words(base, manifest, tmp_path / "out", "--steps", "2", "--trained-layers", str(layers)))
    after = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "out" / "checkpoint")
    before = Qwen2AudioForConditionalGeneration.from_pretrained(base).state_dict()
    changed = {n for n, weight in after.state_dict().items() if not weight.equal(before[n])}
    assert "lm_head.weight" in changed
    heard = {name.split("audio_tower.")[1] for name in changed if "audio_tower." in name}
    assert bool(heard) == bool(layers)
    assert all(name.startswith(("layers.1.", "layer_norm.")) for name in heard)
    assert AutoProcessor.from_pretrained(tmp_path / "out" / "checkpoint").tokenizer


def test_gradient_checkpointing_changes_memory_and_no_number(
    base: Path, manifest: Path, tmp_path: Path, learned: Path
):
    main(words(base, manifest, tmp_path / "out", *LORA, "--gradient-checkpointing"))
    assert near(adapter(tmp_path / "out"), adapter(learned), 1e-6)


def test_a_long_clip_is_learned_from_in_parts(base: Path, tmp_path: Path):
    sound = np.random.default_rng(9).uniform(-0.2, 0.2, 31 * RATE)
    soundfile.write(tmp_path / "long.wav", sound, RATE)
    part = {"type": "audio", "audio_url": "long.wav"}
    turns = [{"role": "user", "content": [part]}, {"role": "assistant", "content": "A siren."}]
    (tmp_path / "train.jsonl").write_text(json.dumps({"messages": turns}))
    more = ("--lora", "--steps", "1", "--split-long")
    main(words(base, tmp_path / "train.jsonl", tmp_path / "out", *more))
    (index,) = (tmp_path / "out" / "features").glob("*/features.jsonl")
    tokens = [json.loads(line)[2] for line in index.read_text().splitlines()]
    assert len(tokens) == 2
    assert sum(tokens) == pytest.approx(31 * 25, abs=2)  # 25 a second


def test_a_rehearsal_holds_the_models_own_replies(base: Path, manifest: Path, tmp_path: Path):
    kept = tmp_path / "kept.jsonl"
    main(["rehearse", "--model", str(base), str(manifest), str(kept)])
    first = json.loads(kept.read_text().splitlines()[0])["messages"]
    clip = tmp_path / first[0]["content"][0]["audio_url"]
    assert clip.resolve() == manifest.parent / "0.wav"
    parts = [{**first[0]["content"][0], "audio_url": str(clip)}, *first[0]["content"][1:]]
    said = ModelCard(base).reply([{"role": "user", "content": parts}], max_new_tokens=12)
    assert first[-1]["content"].startswith(said)


def test_layers_are_really_computed_again_where_asked_for(base: Path, tmp_path: Path):
    model = Qwen2AudioForConditionalGeneration.from_pretrained(base)
    student = Student(model, ctc_weight=0.0).train()
    student.activation_checkpointing_enable()
    layers = model.model.language_model.layers
    assert all(layer.gradient_checkpointing and layer.training for layer in layers)
    assert arguments(Recipe(checkpointing=True), tmp_path, 1).activation_checkpointing


def test_bfloat16_trains_a_lora_whose_weights_stay_exact(
    base: Path, manifest: Path, tmp_path: Path, learned: Path
):
    main(words(base, manifest, tmp_path / "out", *LORA, "--bf16", "--eval", str(manifest)))
    found, exact = adapter(tmp_path / "out"), adapter(learned)
    assert {weight.dtype for weight in found.values()} == {torch.float32}
    assert not near(found, exact, 1e-6)
    assert near(found, exact, 0.05)


class StoppedError(Exception):
    """As if the machine went off."""


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_stopped(
    base: Path, manifest: Path, tmp_path: Path, learned: Path, monkeypatch: pytest.MonkeyPatch
):
    given = words(base, manifest, tmp_path / "out", *LORA, "--save-every", "2")
    left, loss = iter(range(2)), training.StudentTrainer.compute_loss

    def stopping(self: Any, *inputs: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise StoppedError
        return loss(self, *inputs, **more)

    with monkeypatch.context() as patched:
        patched.setattr(training.StudentTrainer, "compute_loss", stopping)
        with pytest.raises(StoppedError):
            main(given)
    assert not (tmp_path / "out" / "adapter").exists()
    main(given)
    assert near(adapter(tmp_path / "out"), adapter(learned), 1e-7)
    main(given)  # and once more: there is nothing left to do
    assert near(adapter(tmp_path / "out"), adapter(learned), 1e-7)


def test_a_run_does_not_go_on_with_other_settings(base: Path, manifest: Path, tmp_path: Path):
    main(words(base, manifest, tmp_path / "out", *LORA))
    with pytest.raises(SystemExit, match=r"out holds a run with another --lora-rank\."):
        main(words(base, manifest, tmp_path / "out", *LORA, "--lora-rank", "4"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--lora-encoder"], "go with --lora"),
        (["--lora", "--trained-layers", "1"], "take --lora-encoder"),
        (["--epochs", "0"], "--epochs must be 1 or more"),
        (["--steps", "0"], "--steps must be 1 or more"),
        (["--eval", "nowhere.jsonl"], "nowhere.jsonl is not there"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    base: Path, manifest: Path, tmp_path: Path, more: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    with pytest.raises(SystemExit):
        main(words(base, manifest, tmp_path / "out", *more))
    assert said in capsys.readouterr().err


@pytest.mark.skipif(find_spec("deepspeed") is not None, reason="deepspeed is installed")
def test_deepspeed_is_asked_for_by_name_where_it_is_missing(
    base: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = words(base, manifest, tmp_path / "out", "--deepspeed", str(DEEPSPEED / "zero3.json"))
    with pytest.raises(SystemExit):
        main(given)
    assert "pip install deepspeed" in capsys.readouterr().err


def test_a_model_that_is_none_is_refused(manifest: Path, tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(SystemExit, match="llama, not a Qwen2-Audio"):
        main(words(tmp_path, manifest, tmp_path / "out"))


def test_two_processes_learn_what_one_learns_from_the_same_batches(
    base: Path, manifest: Path, tmp_path: Path
):
    """Each step of two processes is a step of one that takes two batches.

    `--multi_gpu` is accelerate's word for several processes; with `--cpu` it would start one.
    """
    main(words(base, manifest, tmp_path / "one", *LORA, "--accumulate", "2"))
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    how = f"{launch} --mixed_precision no --dynamo_backend no --num_cpu_threads_per_process 1"
    given = words(base, manifest, tmp_path / "two", *LORA, "--eval", str(manifest))
    done = subprocess.run(
        [sys.executable, "-m", *how.split(), "--main_process_port", "0", "-m", "finetune", *given],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loss on train.jsonl: ") == 1
    assert near(adapter(tmp_path / "two"), adapter(tmp_path / "one"), 1e-4)


@pytest.mark.parametrize("stage", [2, 3])
def test_the_deepspeed_configurations_load(stage: int, tmp_path: Path):
    file = DEEPSPEED / f"zero{stage}.json"
    assert json.loads(file.read_text())["zero_optimization"]["stage"] == stage
    pytest.importorskip("deepspeed", reason="deepspeed is not installed")
    found: TrainingArguments = arguments(Recipe(deepspeed=file, accumulate=2), tmp_path, 10)
    config = found.hf_deepspeed_config
    assert config is not None
    assert config.is_zero3() == (stage == 3)
    config.trainer_config_finalize(found, None, 10)
    assert config.get_value("gradient_accumulation_steps") == 2
    assert config.get_value("bf16.enabled") is True
    assert "auto" not in json.dumps(config.config)
