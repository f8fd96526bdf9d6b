"""The commands of `finetune`, from a folder of clips to a scored checkpoint."""

import json

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from transformers import (
    AutoProcessor,
    Qwen2AudioForConditionalGeneration,
)

from eval_audio import __main__ as evaluate
from finetune import __main__ as tune
from finetune import export, preview
from finetune.clips.library import append, write_shard
from tests.finetune_parts import tiny_encoder

pytestmark = pytest.mark.slow

SENTENCES = ("The sun is up.", "I like tea.", "We went home.", "It is late.")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("encoder"), layers=1, mlp=32)


def rows(split: str):
    """A few clips of every kind, as the index of a library describes them."""
    names = ("text", "words", "question", "sound", "count", "of", "pitch", "gender", "level")
    blank = {**dict.fromkeys(names), "split": split, "language": "en"}

    def speech(kind: str, text: str, **fields):
        return {**blank, "kind": kind, "text": text, "words": text.lower().strip("."), **fields}

    yield from (speech("sentence", text, gender="male", level="loud") for text in SENTENCES)
    yield from (speech("sentence", text, gender="female", level="quiet") for text in SENTENCES)
    yield from (speech(kind, "Six") for kind in ("word", "digit", "number"))
    yield speech("question", "Double two, please.", question={"id": "double", "n": 2})
    yield speech("question_zh", "你好。", question={"id": "zh_hello"}, language="zh")
    yield {**blank, "kind": "sound", "sound": "siren", "level": "loud"}
    yield {**blank, "kind": "sound", "sound": "tone", "pitch": "high", "level": "quiet"}
    yield {**blank, "kind": "count", "sound": "beeping", "count": 2, "of": "beeps"}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for split in ("train", "test", "human"):
        clips = [
            ({"id": f"{split}-{n}", **row}, rng.uniform(-0.3, 0.3, 8_000 + 999 * n))
            for n, row in enumerate(rows(split))
        ]
        append(folder, write_shard(folder, split, clips))
    return folder


@pytest.fixture(scope="module")
def made(encoder, library, tmp_path_factory):
    """The preview's own command, two steps long."""
    output = tmp_path_factory.mktemp("preview")
    words = f"--clips {library} --output {output} --encoder {encoder} --conversations 60 --steps 2"
    threads = torch.get_num_threads()
    preview.main([*words.split(), "--long-clips", "3", "--threads", "1"])
    torch.set_num_threads(threads)  # of other tests in this process
    return output


def test_the_previews_command_makes_a_checkpoint_that_can_be_scored(made, library, capsys):
    folder = made / "checkpoint"
    (folder / "README.md").write_text("<!-- results -->\nold\n<!-- end of results -->\n")
    words = f"--task preview --model {folder} --clips {library} --size 4 --write"
    assert evaluate.main(words.split()) == 0
    assert "| sentences | 8 | 0 (0%) |" in capsys.readouterr().out
    card = (folder / "README.md").read_text()
    assert "old" not in card
    assert "| sounds | 2 |" in card
    assert json.loads((folder / "results.json").read_text())["honest"]["cases"] == 2


def test_a_run_goes_on_from_another_and_is_exported_on_the_way(made, library, encoder, tmp_path):
    words = f"--clips {library} --output {tmp_path / 'two'} --encoder {encoder} --start {made}"
    rest = "--conversations 30 --steps 1 --long-clips 3 --threads 1"
    preview.main(f"{words} {rest}".split())
    export.main([str(tmp_path / "two"), str(tmp_path / "out"), "--base", str(made / "base")])
    exported = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "out")
    finished = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "two" / "checkpoint")
    assert all(
        torch.equal(weight, finished.state_dict()[name])
        for name, weight in exported.state_dict().items()
    )


def test_a_run_goes_on_from_a_published_checkpoint(made, library, encoder, tmp_path):
    start = made / "checkpoint"
    words = f"--clips {library} --output {tmp_path / 'on'} --encoder {encoder} --start {start}"
    preview.main(f"{words} --conversations 30 --steps 1 --long-clips 3 --threads 1".split())
    before, after = (
        load_file(folder / "model.safetensors") for folder in (start, tmp_path / "on/checkpoint")
    )
    moved = {
        name: (before[name].float() - after[name].float()).abs().max().item() for name in before
    }
    assert all(most < 0.01 for most in moved.values())
    assert any(most > 0 for most in moved.values())


def test_any_checkpoint_is_tuned_on_a_manifest_of_files(made, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 22_050), 22_050)
    part = {"type": "audio", "audio_url": "a.wav"}
    turns = [{"role": "user", "content": [part]}, {"role": "assistant", "content": "A new answer."}]
    manifest = tmp_path / "train.jsonl"
    manifest.write_text(json.dumps({"conversation": turns}) + "\n")
    words = f"--model {made / 'checkpoint'} --train {manifest} --eval {manifest}"
    losses = []
    for steps in (1, 30):
        output = tmp_path / f"out{steps}"
        rest = f"--output {output} --steps {steps} --learning-rate 3e-3"
        tune.main([*words.split(), *rest.split()])
        losses.append(float(capsys.readouterr().out.split("train.jsonl: ")[1]))
    assert losses[1] < losses[0] - 0.5
    assert AutoProcessor.from_pretrained(output / "checkpoint").tokenizer is not None


def test_a_clip_longer_than_a_window_is_refused_by_name(made, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(16_000 * 31), 16_000)
    part = {"type": "audio", "audio_url": "long.wav"}
    turns = [{"role": "user", "content": [part]}, {"role": "assistant", "content": "Silence."}]
    manifest = tmp_path / "train.jsonl"
    manifest.write_text(json.dumps({"messages": turns}) + "\n")
    words = f"--model {made / 'checkpoint'} --train {manifest} --output {tmp_path / 'out'}"
    with pytest.raises(SystemExit, match=r"line 1: long\.wav is 31\.0 s long"):
        tune.main(words.split())
