"""`python -m finetune` on a tiny model: LoRA and full, in parts, stopped and resumed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from finetune import training
from finetune.__main__ import main
from finetune.student import Student
from finetune.training import Recipe, arguments
from tests.model_card import ModelCard
from tests.tuning_parts import LORA, RATE, adapter, near, words
from tests.tuning_parts import base as base
from tests.tuning_parts import manifest as manifest

pytestmark = pytest.mark.slow


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
