"""Speech warped into somebody else's: what moves, what stays, and where its variants are kept."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from demo.encoder import log_mels
from finetune.collating import FeatureCollator
from finetune.encoding import Variants, fill
from finetune.features import Listener
from finetune.rendering import Renderer
from finetune.store import FeatureStore, variant_key
from finetune.student import Student
from finetune.warping import Warping, middles
from tests.finetune_parts import noise, talk, tiny_model

EXTRACTOR = WhisperFeatureExtractor()
HERTZ = middles(EXTRACTOR)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("encoder"))


def tone(hertz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000)).astype(np.float32)


def mels_of(*clips: np.ndarray) -> torch.Tensor:
    return log_mels(EXTRACTOR, clips)[0]


def peak(mel: torch.Tensor) -> float:
    """The frequency where a tone's spectrum is highest, in hertz."""
    return float(HERTZ[mel[:, 20:80].mean(1).argmax()])


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_no_warping_changes_nothing():
    mels = mels_of(noise(16_000), tone(440))
    torch.testing.assert_close(Warping(0, 0)(mels, HERTZ), mels)


@pytest.mark.parametrize("hertz", [400.0, 1000.0, 3000.0])
def test_frequencies_are_stretched_as_drawn_and_clips_each_in_its_own_way(hertz: float):
    mels = mels_of(*[tone(hertz)] * 6)
    ratios = torch.exp((torch.rand(6, 4, generator=seeded())[:, 0] * 2 - 1) * 0.3)
    moved = Warping(0.3, 0)(mels, HERTZ, seeded())
    width = 0.08  # a bin is so wide beside its frequency, or narrower
    for mel, ratio in zip(moved, ratios.tolist(), strict=True):
        assert peak(mel) == pytest.approx(hertz / ratio, rel=width)
    assert len({round(peak(mel)) for mel in moved}) > 2


def test_a_microphones_curve_colours_sound_within_bounds_and_leaves_silence():
    loud = mels_of(noise(16_000))[:, :, :100]
    change = Warping(0, 6)(loud, HERTZ, seeded()) - loud
    assert 0.05 < change.abs().max() <= 3 * 6 / 40  # three waves of six decibels
    assert change.mean(2).diff(dim=1).abs().max() < 0.05  # smooth over the bins
    quiet = mels_of(np.zeros(16_000, np.float32))
    torch.testing.assert_close(Warping(0, 6)(quiet, HERTZ, seeded()), quiet)


def test_speech_is_kept_with_its_variants_and_other_sounds_as_they_are(tiny, tmp_path):
    model, processor = tiny
    store = FeatureStore(tmp_path, 32)
    listener = Listener(model.model.audio_tower.eval(), processor.feature_extractor)
    variants = Variants(2, lambda url: url == "speech")
    clips = {"speech": noise(16_000), "siren": noise(24_000, 1)}
    fill(store, clips, clips.__getitem__, listener, bf16=False, variants=variants)
    kept = [variant_key("speech", number) for number in range(3)]
    assert set(store.places) == {*kept, "siren"}
    own, *others = (store[key] for key in kept)
    np.testing.assert_allclose(own, listener.hear([clips["speech"]])[0], atol=2e-3)
    for other in others:
        assert other.shape == own.shape
        assert np.abs(other.astype(np.float32) - own).max() > 0.01
    torch.manual_seed(0)
    drawn = [store.variant("speech").tobytes() for _ in range(40)]
    assert set(drawn) == {store[key].tobytes() for key in kept}
    assert {store.variant("siren").tobytes() for _ in range(9)} == {store["siren"].tobytes()}


def test_new_heads_learn_alone_at_first(tiny, tmp_path):
    """The decoder learns in the first batch what it would without them, then from them too."""
    model, processor = tiny
    store = FeatureStore(tmp_path, 32)
    store.add(["a"], [np.random.default_rng(0).normal(size=(50, 32))])
    batch = FeatureCollator(Renderer(processor), store)([talk("a", "I hear a siren.")])
    headless = gradient(Student(model, ctc_weight=0).train(), batch)
    student = Student(model, alone=1).train()
    torch.testing.assert_close(gradient(student, batch), headless)
    assert student.ctc is not None
    taught = student.ctc.weight.grad
    assert taught is not None
    assert taught.abs().max() > 0
    assert not torch.allclose(gradient(student, batch), headless)


def gradient(student: Student, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """What a batch teaches the decoder's first layer."""
    student.zero_grad()
    student(**batch)["loss"].backward()
    weight: torch.Tensor = student.model.model.language_model.layers[0].mlp.up_proj.weight
    assert weight.grad is not None
    return weight.grad.clone()
