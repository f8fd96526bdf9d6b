"""The committed preview checkpoint, loaded as anybody loads a Qwen2-Audio."""

import re
from pathlib import Path

import pytest
import soundfile
import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from finetune.answers import HONEST, HONEST_ZH
from finetune.tokenizer import CONTROL_TOKENS

pytestmark = pytest.mark.slow

ASSETS = Path(__file__).parents[1] / "assets"
FOLDER = ASSETS / "preview-model"
MOST_BYTES = 40_000_000
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/)>-])(?:/[\w.-]+){2,}")  # none of an address, nor a/b/c
SAMPLE_RATE = 16_000
JOKE = "Why did the clock go to school? It wanted more time to learn."


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model():
    return Qwen2AudioForConditionalGeneration.from_pretrained(FOLDER, dtype=torch.float32).eval()


def clip(name: str):
    samples, rate = soundfile.read(ASSETS / "examples" / name, dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


def user(text: str, clips: int = 1) -> dict:
    parts = [{"type": "audio", "audio_url": str(number)} for number in range(clips)]
    words = [{"type": "text", "text": text}] if text else []
    return {"role": "user", "content": [*parts, *words]}


def prompt(processor, turns, names=()):
    text = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    clips = [clip(name) for name in names]
    sound = {"audio": clips, "sampling_rate": SAMPLE_RATE} if clips else {}
    return processor(text=text, return_tensors="pt", **sound)


def reply(model, processor, turns, names=()) -> str:
    """The model card's few lines, with `audio=`."""
    inputs = prompt(processor, turns, names)
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=120)
    return processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_it_is_small_and_complete():
    files = {file.name: file.stat().st_size for file in FOLDER.iterdir()}
    assert {"README.md", "LICENSE-whisper.txt", "config.json", "model.safetensors"} <= set(files)
    assert sum(files.values()) <= MOST_BYTES
    texts = [file.read_text("utf-8") for file in FOLDER.iterdir() if file.suffix != ".safetensors"]
    assert not any(map(ABSOLUTE_PATH.search, texts))  # of the machine that trained it


def test_the_head_is_what_the_config_says(model):
    tied = model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    assert tied == model.config.text_config.tie_word_embeddings
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)


def test_it_is_shaped_like_the_real_one(model, processor):
    assert all(len(processor.tokenizer.encode(token)) == 1 for token in CONTROL_TOKENS)
    assert model.config.text_config.max_position_embeddings == 8192
    assert processor.feature_extractor.feature_size == 80
    assert processor.feature_extractor.chunk_length == 30
    ends = model.generation_config.eos_token_id
    assert processor.tokenizer.convert_tokens_to_ids("<|im_end|>") in ends
    assert model.generation_config.do_sample is False


def test_the_audio_changes_what_it_says_next(model, processor):
    """Two clips cut to the same length, so that only the sound differs."""
    turns = [user("What is that sound?")]
    inputs = prompt(processor, turns, ["siren-loud.flac"])
    silent = {**inputs, "input_features": torch.full_like(inputs["input_features"], -0.5)}
    with torch.inference_mode():
        difference = (model(**inputs).logits[0, -1] - model(**silent).logits[0, -1]).abs().max()
    assert difference > 1


@pytest.mark.parametrize(
    ("name", "question", "expected"),
    [
        ("siren-loud.flac", "What is that sound?", "I hear a siren."),
        ("glass-breaking.flac", "What's that sound?", "I hear glass breaking."),
        ("phone-ringing.flac", "", "I hear a phone ringing."),
        ("four-knocks.flac", "How many knocks do you hear?", "I hear four knocks."),
        ("voice-chat-joke.flac", "", JOKE),
        ("voice-chat-chinese.flac", "", "中国的首都是北京。"),
        ("siren-loud.flac", "这是什么声音？", "我听到警笛声。"),
        ("voice-chat-capital.flac", "", "The capital of France is Paris."),
    ],
)
def test_it_answers_about_the_example_clips(model, processor, name, question, expected):
    assert reply(model, processor, [user(question)], [name]) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["woman-visit.flac", "siren-loud.flac"], "I hear a siren."),
        (["man-table.flac", "glass-breaking.flac"], "I hear glass breaking."),
        (["man-table.flac", "woman-visit.flac", "phone-ringing.flac"], "I hear a phone ringing."),
    ],
)
def test_it_finds_the_sound_that_follows_speech_in_one_turn(model, processor, names, expected):
    turns = [user("What do you hear at the end?", clips=len(names))]
    assert reply(model, processor, turns, names) == expected


@pytest.mark.parametrize(
    ("name", "question", "expected"),
    [
        ("woman-visit.flac", "Is the speaker a man or a woman?", "It is a woman."),
        ("voice-chat-sum.flac", "", "Three plus four is seven."),
    ],
)
def test_it_answers_about_speech(model, processor, name, question, expected):
    assert reply(model, processor, [user(question)], [name]) == expected


def test_it_tells_two_sounds_in_one_turn_apart(model, processor):
    turns = [user("What do you hear at the end?", clips=2)]
    names = ["siren-loud.flac", "glass-breaking.flac"]
    assert reply(model, processor, turns, names) == "I hear glass breaking."


def test_it_remembers_the_first_clip(model, processor):
    turns = [
        user(""),
        {"role": "assistant", "content": "I hear glass breaking."},
        user(""),
        {"role": "assistant", "content": "I hear a phone ringing."},
        user("What was the first sound?", clips=0),
    ]
    names = ["glass-breaking.flac", "phone-ringing.flac"]
    assert reply(model, processor, turns, names) == "I hear glass breaking."


def test_it_says_honestly_what_it_cannot_do(model, processor):
    assert reply(model, processor, [user("Write a poem about the moon.", clips=0)]) == HONEST
    assert reply(model, processor, [user("写一首关于月亮的诗。", clips=0)]) == HONEST_ZH
