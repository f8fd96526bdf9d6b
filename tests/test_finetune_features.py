"""What a model is trained on: the tokens of a conversation and the features of its clips."""

import numpy as np
import pytest
import torch

from demo.encoder import mel_frames, tokens_of
from finetune.features import Listener
from finetune.rendering import IGNORED, Renderer
from finetune.store import FeatureStore
from finetune.tokenizer import CONTROL_TOKENS
from tests.finetune_parts import noise, talk, tiny_model

HOP = 160  # samples a mel frame


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("encoder"))


# -- what is rendered, and what is learned -------------------------------------------------


def test_only_the_assistants_words_and_their_end_are_learned(tiny):
    _, processor = tiny
    turns = [
        *talk("a", "I hear a siren."),
        *talk("b", "你好 🙂"),
        {"role": "user", "content": "Bye"},
    ]
    rendered = Renderer(processor).render(turns, lambda part: 7)
    learned = [t for t, label in zip(rendered.ids, rendered.labels, strict=True) if label == t]
    assert processor.tokenizer.decode(learned) == "I hear a siren.<|im_end|>你好 🙂<|im_end|>"
    assert sum(label != IGNORED for label in rendered.labels) == len(learned)


def test_the_rendering_is_what_the_processor_makes_for_the_app(tiny):
    _, processor = tiny
    clips = [noise(16_000), noise(23_777)]
    turns = [*talk("0", "I hear a siren."), *talk("1", "")[:1]]
    text = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    expected = processor(text=text, audio=clips, sampling_rate=16_000)["input_ids"][0]
    rendered = Renderer(processor).render(
        turns,
        lambda part: tokens_of(-(-len(clips[int(part["audio_url"])]) // HOP)),
        generation=True,
    )
    assert rendered.ids == list(expected)


def test_every_control_token_is_one_token_and_any_text_survives(tiny):
    tokenizer = tiny[1].tokenizer
    assert all(len(tokenizer.encode(token)) == 1 for token in CONTROL_TOKENS)
    odd = "naïve 你好吗 🙂\n\tщ"
    assert tokenizer.decode(tokenizer.encode(odd)) == odd


# -- features ------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1_600, 16_000, 23_777, 79_999, 480_000])
def test_a_short_window_gives_what_the_whole_one_gives(tiny, samples):
    """Heard beside a longer clip, as in a batch; the model's own forward pass is the judge."""
    model, processor = tiny
    clip = noise(samples)
    listener = Listener(model.model.audio_tower.eval(), processor.feature_extractor)
    short = listener.hear([clip, noise(min(480_000, samples + 9_000), 1)])[0]
    mel = processor.feature_extractor(
        clip, sampling_rate=16_000, return_attention_mask=True, return_tensors="pt"
    )
    own = mel_frames(processor.feature_extractor, clip)
    assert int(mel["attention_mask"].sum()) == own
    with torch.inference_mode():
        frames = (own - 1) // 2 + 1
        mask = torch.zeros(1, 1, 1, 1500)
        mask[..., frames:] = torch.finfo(torch.float32).min
        whole = model.model.audio_tower(
            mel["input_features"], attention_mask=mask.expand(1, 1, 1500, 1500)
        ).last_hidden_state[0]
    assert len(short) == tokens_of(own)
    np.testing.assert_allclose(short, whole[: len(short)], atol=2e-4)


def test_a_store_survives_a_run_that_was_killed_while_writing(tmp_path):
    arrays = [np.full((n, 8), n, np.float32) for n in (3, 5)]
    store = FeatureStore(tmp_path, 8)
    store.add(["a"], arrays[:1])
    with (tmp_path / "features.f16").open("ab") as file:
        file.write(b"half an array")
    with (tmp_path / "features.jsonl").open("a") as file:
        file.write('["b", 3')
    again = FeatureStore(tmp_path, 8)
    assert "b" not in again
    again.add(["b"], arrays[1:])
    np.testing.assert_array_equal(again["a"], arrays[0])
    np.testing.assert_array_equal(again["b"], arrays[1])
