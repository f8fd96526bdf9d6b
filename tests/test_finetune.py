"""Training on the real path, with a tiny random model and clips made on the spot."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from eval_audio.replying import Replier
from finetune import blending, export
from finetune.collating import FeatureCollator, TokenBatches
from finetune.encoding import fill
from finetune.features import Listener
from finetune.manifest import Manifest, write_manifest
from finetune.masking import Masking
from finetune.rendering import Renderer
from finetune.store import FeatureStore
from finetune.student import Student
from finetune.training import Recipe, train
from finetune.traits import TraitHead, trait_ids
from tests.finetune_parts import noise, talk, tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def lesson(tiny, tmp_path):
    """A manifest of twelve conversations on four clips, and the features of these."""
    urls = [f"clip{n}" for n in range(4)]
    write_manifest(
        tmp_path / "train.jsonl", (talk(urls[n % 4], f"I hear a siren. {n}") for n in range(12))
    )
    manifest = Manifest(tmp_path / "train.jsonl")
    return manifest, features_of(tiny, manifest, tmp_path / "features")


def features_of(tiny, manifest: Manifest, folder: Path, trained_layers: int = 0) -> FeatureStore:
    model, processor = tiny
    tower = model.model.audio_tower.eval()
    store = FeatureStore(folder, 32, 2 if trained_layers else 1)
    listener = Listener(tower, processor.feature_extractor, trained_layers)
    fill(store, manifest.clips(), lambda url: noise(16_000 + 999 * int(url[-1])), listener)
    return store


@pytest.mark.parametrize("trained_layers", [0, 1])
def test_training_through_kept_features_is_training_through_the_model(
    tiny, lesson, tmp_path, trained_layers: int
):
    """The student's loss on the reply is the model's own, sound and all."""
    model, processor = tiny
    manifest, _ = lesson
    store = features_of(tiny, manifest, tmp_path / "own", trained_layers)
    turns = manifest[1]
    collator = FeatureCollator(Renderer(processor), store)
    batch = collator([turns])
    student = Student(model, ctc_layer=2, trained_layers=trained_layers)
    with torch.no_grad():
        mine = student.eval()(**batch)["reply_loss"]
        text = processor.apply_chat_template(turns, tokenize=False)
        inputs = processor(
            text=text, audio=[noise(16_999)], sampling_rate=16_000, return_tensors="pt"
        )
        labels = batch["labels"][:, : inputs["input_ids"].shape[1]]
        theirs = model.eval()(**inputs, labels=labels).loss
    assert float(mine) == pytest.approx(float(theirs), abs=2e-3)  # features are kept in float16


def losses(student, processor, lesson, recipe, output) -> list[float]:
    torch.manual_seed(5)
    manifest, store = lesson
    train(student, processor, manifest, store, recipe, output)
    lines = (output / "log.jsonl").read_text().splitlines()
    return [entry["loss"] for entry in map(json.loads, lines) if "loss" in entry]


def weights(student) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in student.state_dict().items()}


def fresh(tiny, trained_layers: int = 0) -> Student:
    model, _ = tiny
    torch.manual_seed(3)
    copy = Qwen2AudioForConditionalGeneration(model.config)
    copy.load_state_dict(model.state_dict())
    return Student(copy, ctc_layer=2, trained_layers=trained_layers)


@pytest.mark.parametrize("trained_layers", [0, 1])
def test_of_the_encoder_only_the_layers_asked_for_are_trained(
    tiny, lesson, tmp_path, trained_layers: int
):
    manifest, _ = lesson
    store = features_of(tiny, manifest, tmp_path / "own", trained_layers)
    student = fresh(tiny, trained_layers)
    before = weights(student)
    recipe = Recipe(steps=2, batch_tokens=400, save_every=2, log_every=1, bf16=False)
    losses(student, tiny[1], (manifest, store), recipe, tmp_path / "run")
    changed = {name for name, weight in weights(student).items() if not weight.equal(before[name])}
    top = [f"layers.{n}." for n in range(len(student.model.model.audio_tower.layers))]
    heard = {name.split("audio_tower.")[1] for name in changed if "audio_tower." in name}
    expected = (*top[-trained_layers:], "layer_norm.") if trained_layers else ()
    assert {any(name.startswith(part) for part in expected) for name in heard} <= {True}
    assert bool(heard) == bool(trained_layers)
    assert any("multi_modal_projector" in name for name in changed)


def test_the_encoder_learns_at_a_rate_of_its_own(tiny, lesson, tmp_path):
    manifest, _ = lesson
    store = features_of(tiny, manifest, tmp_path / "own", 1)
    recipe = Recipe(steps=2, batch_tokens=400, log_every=1, bf16=False, encoder_rate=0.0)
    student = fresh(tiny, 1)
    before = weights(student)
    losses(student, tiny[1], (manifest, store), recipe, tmp_path / "run")
    heard = [name for name in before if "audio_tower." in name]
    assert all(weights(student)[name].equal(before[name]) for name in heard)


def test_masking_hides_frames_of_speech_only_and_words_of_replies_only():
    torch.manual_seed(1)
    features, speech = torch.ones(4_000, 8), torch.arange(4_000) < 2_000
    gaps_only = Masking(gaps=0.03, longest_gap=4, numbers=0.0, words=0.5, blur=0.0)
    masked = gaps_only.clips(features, speech)
    silent = (masked == 0).all(-1)
    assert 0.04 < silent[:2_000].float().mean() < 0.12
    assert not silent[2_000:].any()
    assert torch.equal(masked[~silent], features[~silent])
    said = torch.arange(400).reshape(2, 200) % 2 == 0
    words = gaps_only.replies(torch.ones(2, 200, 8), said)
    assert (words[~said] == 1).all()
    assert 0.3 < (words[said] == 0).float().mean() < 0.7


def test_a_blend_lies_between_its_two_checkpoints(tmp_path: Path):
    for name, value in (("first", 1.0), ("second", 3.0), ("other", 1.0)):
        (tmp_path / name).mkdir()
        shape = (3,) if name == "other" else (2,)
        save_file({"w": torch.full(shape, value).half()}, tmp_path / name / "model.safetensors")
    (tmp_path / "first" / "config.json").write_text("{}")
    blending.main([str(tmp_path / name) for name in ("first", "second", "mixed")])
    mixed = load_file(tmp_path / "mixed" / "model.safetensors")["w"]
    assert mixed.tolist() == [2.0, 2.0]
    assert mixed.dtype == torch.float16
    assert (tmp_path / "mixed" / "config.json").exists()
    with pytest.raises(SystemExit, match="first and other are not of one shape"):
        blending.main([str(tmp_path / name) for name in ("first", "other", "mixed")])


def test_a_clip_whose_traits_are_unknown_teaches_none():
    torch.manual_seed(0)
    head, hidden, clips = TraitHead(4), torch.randn(5, 4), torch.tensor([3, 2])
    quiet_man = trait_ids({"level": "quiet", "gender": "male"})
    loud = trait_ids({"level": "loud"})
    unknown = trait_ids({})
    alone = head(hidden[:3], clips[:1], torch.tensor([quiet_man]))
    assert torch.allclose(head(hidden, clips, torch.tensor([quiet_man, unknown])), alone)
    assert not torch.allclose(head(hidden, clips, torch.tensor([quiet_man, loud])), alone)
    assert head(hidden, clips, torch.tensor([unknown, unknown])) == 0


def test_nothing_is_hidden_when_the_student_is_asked_and_not_trained(tiny, lesson):
    manifest, store = lesson
    batch = FeatureCollator(Renderer(tiny[1]), store)([manifest[1]])
    plain = fresh(tiny).eval()
    masked = fresh(tiny).eval()
    masked.load_state_dict(plain.state_dict())
    masked.masking = Masking()
    with torch.no_grad():
        expected = plain(**batch)["reply_loss"]
        assert torch.equal(masked(**batch)["reply_loss"], expected)
        assert not torch.equal(masked.train()(**batch)["reply_loss"], expected)


class StoppedError(Exception):
    """As if the machine went off."""


def stopping_after(steps: int):
    left = iter(range(steps))

    def hook(module, inputs):
        if next(left, None) is None:
            raise StoppedError

    return hook


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(tiny, lesson, tmp_path):
    recipe = Recipe(steps=4, batch_tokens=400, save_every=2, log_every=1, bf16=False)
    whole, halves = fresh(tiny), fresh(tiny)
    before = weights(whole)
    expected = losses(whole, tiny[1], lesson, recipe, tmp_path / "whole")
    stopped = tmp_path / "whole" / "checkpoint-4"
    assert stopped.is_dir()
    assert len(expected) == 4

    halves.register_forward_pre_hook(stopping_after(2))
    with pytest.raises(StoppedError):
        losses(halves, tiny[1], lesson, recipe, tmp_path / "halves")
    resumed = fresh(tiny)
    assert losses(resumed, tiny[1], lesson, recipe, tmp_path / "halves") == expected
    after = weights(resumed)
    assert all(torch.equal(after[name], value) for name, value in weights(whole).items())
    assert any(not torch.equal(after[name], value) for name, value in before.items())


def test_batches_hold_every_conversation_once_within_their_budget():
    lengths = np.random.default_rng(0).integers(20, 400, 500).tolist()
    batches = list(TokenBatches(lengths, budget=1_000, seed=2, chunk=100))
    assert sorted(place for batch in batches for place in batch) == list(range(500))
    assert all(len(b) == 1 or len(b) * max(lengths[p] for p in b) <= 1_000 for b in batches)
    assert batches == list(TokenBatches(lengths, budget=1_000, seed=2, chunk=100))


def test_an_export_loads_with_plain_transformers_and_replies_the_same(tiny, tmp_path):
    _, processor = tiny
    export.save(fresh(tiny).model, processor, tmp_path)
    loaded = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    again = AutoProcessor.from_pretrained(tmp_path)
    turns = talk("a", "")[:1]
    replier = Replier(loaded, again, lambda url: noise(20_000))
    text = again.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    inputs = again(text=text, audio=[noise(20_000)], sampling_rate=16_000, return_tensors="pt")
    ids = loaded.generate(  # type: ignore[misc]
        **inputs, do_sample=False, max_new_tokens=12
    )
    expected = again.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    both = [turns, [*talk("a", "I hear a siren."), *turns]]
    assert replier.replies(both)[0].startswith(expected)
