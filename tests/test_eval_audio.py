"""`python -m eval_audio` on the preview checkpoint, from a manifest to the line of numbers."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from demo.audio import Ear
from eval_audio.answering import CLIP, Asked, hear
from eval_audio.checkpoint import Checkpoint, is_instruct
from eval_audio.manifest import Row
from tests import web
from tests.eval_parts import EXAMPLES, SAID, SPOKEN, asked, evaluate, predictions, row, written
from tests.sounds import wav

pytestmark = pytest.mark.slow

CARD = Asked("preview", "", {})


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences with 20 s of quiet noise after each."""
    rng = np.random.default_rng(0)
    pieces = []
    for name in SPOKEN[:2]:
        samples, _ = soundfile.read(EXAMPLES / name, dtype="float32")
        pieces += [samples, 1e-3 * rng.standard_normal(20 * 16_000).astype(np.float32)]
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, np.concatenate(pieces), 16_000)
    return path


@pytest.fixture(scope="module")
def scored(long_clip: Path, tmp_path_factory: pytest.TempPathFactory):
    """One run over good rows, bad rows and a URL: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "beside.wav").write_bytes(wav())
    (folder / "noise.wav").write_bytes(b"no sound")
    said = io.StringIO()
    with web.serving() as site, redirect_stdout(said):
        lines = [
            row(str(EXAMPLES / SPOKEN[0])),
            row(str(EXAMPLES / SPOKEN[1]), source="other"),
            row("beside.wav"),
            row(f"{site}/tone.wav"),
            row(str(long_clip)),
            row("gone.wav"),
            row("noise.wav"),
            '{"audio": "beside.wav", "prompt": ',
            '["no", "object"]',
            '{"audio": "beside.wav", "prompt": "\\ud800", "gt": "x"}',
            row("beside.wav", gt=None),
            row("beside.wav", prompt=" "),
            "",
        ]
        status = evaluate(
            written(folder, lines),
            folder / "out",
            "--task asr --language en --allow-private-urls --resamples 50",
        )
    assert status == 0
    return folder / "out", said.getvalue().splitlines()


def test_replies_are_those_of_the_model_card(scored, card):
    output, _ = scored
    found = {one["row"]: one for one in predictions(output)}
    assert found[1]["response"] == asked(card, EXAMPLES / SPOKEN[0])
    assert found[2]["response"] == asked(card, EXAMPLES / SPOKEN[1])
    assert found[3]["response"] == found[4]["response"]  # the same tone, from a file and a URL
    assert found[1]["gt"] == "a b c"


def test_a_clip_of_over_30_seconds_is_heard_by_windows_in_order(scored, card, long_clip, tmp_path):
    output, said = scored
    windows = Ear().hear(long_clip).windows()
    assert len(windows) == 2
    replies = []
    for window in windows:
        soundfile.write(tmp_path / "window.wav", window, 16_000, "FLOAT")
        replies.append(asked(card, tmp_path / "window.wav").strip())
    found = predictions(output)[4]
    assert found["windows"] == 2
    assert found["response"] == " ".join(replies)
    assert "1 clips of over 30 s were heard by windows, one after the other." in said


def test_bad_rows_are_counted_and_stop_nothing(scored):
    output, said = scored
    errors = {one["row"]: one["error"] for one in predictions(output) if "error" in one}
    assert errors.pop(6).startswith("gone.wav is not there")
    assert errors.pop(7).startswith("noise.wav is not a sound file")
    assert errors == {
        8: "Line 8 is no JSON in UTF-8.",
        9: "Line 9 is no JSON object.",
        10: "Line 10 is no JSON in UTF-8.",
        11: "Line 11 has no gt.",
        12: "Line 12 has no prompt.",
    }
    assert "7 of 12 rows had an error and are not scored: predictions.jsonl." in said


def test_the_last_line_is_json_and_says_what_the_table_says(scored):
    output, said = scored
    result = json.loads(said[-1])
    assert result == json.loads((output / "results.json").read_text())
    assert (result["rows"], result["errors"], result["long_clips"]) == (12, 7, 1)
    assert [(group["source"], group["scored"]) for group in result["groups"]] == [
        ("said", 4),
        ("other", 1),
        ("manifest", 2 - 2),  # lines that do not say their source
    ]
    group = result["groups"][0]
    assert group["low"] <= group["value"] <= group["high"]
    assert any(f"| said | **this run** | WER | {group['value']:.2f} |" in text for text in said)
    assert result["groups"][2]["value"] is None


def test_a_killed_run_goes_on_where_it_was(scored, tmp_path, card, capsys):
    manifest = written(tmp_path, [row(str(EXAMPLES / name)) for name in SPOKEN])
    output = tmp_path / "out"
    assert evaluate(manifest, output) == 0
    whole = predictions(output)
    kept = json.dumps({**whole[0], "response": "kept from before"})
    other = json.dumps({**whole[1], "prompt": "of another manifest"})
    failed = json.dumps({"row": 2, "source": "said", "error": "the network was away"})
    half = json.dumps(whole[2])[:40]
    (output / "predictions.jsonl").write_text("\n".join([kept, other, failed, half]))
    assert evaluate(manifest, output) == 0
    assert predictions(output) == [{**whole[0], "response": "kept from before"}, *whole[1:]]


def test_a_folder_of_another_run_is_refused(scored, tmp_path, capsys):
    manifest = written(tmp_path, [row(str(EXAMPLES / SPOKEN[0]))])
    assert evaluate(manifest, scored[0], "--task asr --language en --form raw") == 1
    error = capsys.readouterr().err
    assert "out holds predictions of another run: form was 'chat' and is 'raw' now." in error


@pytest.mark.parametrize("prompt", ["Repeat:", f"{CLIP}Repeat:"])
def test_a_base_models_prompt_is_shown_bare(prompt, tmp_path, card):
    manifest = written(tmp_path, [row(str(EXAMPLES / SPOKEN[0]), prompt=prompt)])
    assert evaluate(manifest, tmp_path / "out", "--task asr --language en --form raw") == 0
    samples, rate = soundfile.read(EXAMPLES / SPOKEN[0], dtype="float32")
    inputs = card.processor(
        text=f"{CLIP}Repeat:", audio=samples, sampling_rate=rate, return_tensors="pt"
    )
    ids = card.model.generate(**inputs, max_new_tokens=256, min_new_tokens=1, do_sample=False)
    expected = card.processor.decode(ids[0, inputs.input_ids.size(1) :], skip_special_tokens=True)
    assert predictions(tmp_path / "out")[0]["response"] == expected


def test_labels_are_scored_by_source(tmp_path, card, capsys):
    heard = asked(card, EXAMPLES / "siren-loud.flac", "What is that sound?")
    lines = [
        row("siren-loud.flac", prompt="What is that sound?", gt=gt, source=source)
        for gt, source in [(heard, "vocalsound"), ("Cough", "vocalsound"), (heard, "mine")]
    ]
    flags = f"--task vsc --clips {EXAMPLES}"
    assert evaluate(written(tmp_path, lines), tmp_path / "out", flags) == 0
    printed = capsys.readouterr().out
    assert "| vocalsound | **this run** | accuracy | 0.5000 |" in printed
    assert "| | Qwen2-Audio (Hugging Face) | accuracy | 0.9395 | | -0.4395 | | |" in printed
    assert "| mine | **this run** | accuracy | 1.0000 | 1.0000 to 1.0000 | | 1 | 0 |" in printed


def test_translations_are_scored_into_the_language_of_their_source(tmp_path, card, capsys):
    heard = asked(card, EXAMPLES / SPOKEN[0])
    line = row(str(EXAMPLES / SPOKEN[0]), gt=heard, source="covost2_zh_en_test")
    assert evaluate(written(tmp_path, [line]), tmp_path / "out", "--task s2tt") == 0
    group = json.loads(capsys.readouterr().out.splitlines()[-1])["groups"][0]
    assert (group["metric"], group["value"]) == ("BLEU", 100.0)
    assert {one["system"] for one in group["published"]} >= {"Qwen2-Audio (paper)", "SpeechLLaMA"}


def test_a_long_clip_to_be_classified_stands_in_one_prompt(card, long_clip):
    respondent = Checkpoint(card.model, card.processor, "vsc", "raw", {}, CARD)
    heard = _heard(long_clip)
    (ask,) = respondent.asks(heard)
    assert ask.text == f"{CLIP}{CLIP}{SAID}"
    assert len(ask.windows) == 2
    assert respondent.text(f"Here: {CLIP} {SAID}", 2) == f"Here: {CLIP}{CLIP} {SAID}"


def test_a_batch_that_does_not_fit_the_memory_is_halved(card):
    sizes: list[int] = []

    class Small(Checkpoint):
        def _replies(self, asks):
            sizes.append(len(asks))
            if len(asks) > 1:
                raise torch.OutOfMemoryError("too many")
            return super()._replies(asks)

    respondent = Small(card.model, card.processor, "asr", "chat", {"said": "en"}, CARD)
    rows = [_heard(EXAMPLES / name) for name in SPOKEN]
    found = [one["response"] for one in respondent.predictions(rows, 3)]
    assert found == [asked(card, EXAMPLES / name) for name in SPOKEN]
    assert sizes == [3, 1, 2, 1, 1]


def _heard(path: Path):
    return hear(Ear(), lambda audio: audio, Row(1, str(path), SAID, "gt", "said"))


def test_more_than_the_model_takes_is_one_rows_error(card):
    respondent = Checkpoint(card.model, card.processor, "asr", "chat", {}, CARD)
    respondent.context = 300
    found = respondent.predictions([_heard(EXAMPLES / SPOKEN[0])], 1)
    assert found[0]["error"].startswith("woman-visit.flac and its prompt are ")


def test_an_instruct_checkpoint_ends_its_turns(card):
    assert is_instruct(card.model, card.processor)
    ends = card.model.generation_config.eos_token_id
    try:
        card.model.generation_config.eos_token_id = 0
        assert not is_instruct(card.model, card.processor)
    finally:
        card.model.generation_config.eos_token_id = ends
