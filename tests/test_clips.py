"""The clips that the preview is trained and tested on: what the index says is what is heard."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from finetune.clips import examples, plan, questions, sounds, speakers
from finetune.clips.library import (
    SAMPLE_RATE,
    append,
    finished_shards,
    open_library,
    samples,
    write_shard,
)
from finetune.clips.plan import Shard
from finetune.clips.sources import SOURCES
from finetune.clips.synthesizers import say_all
from finetune.clips.utterance import Utterance
from tests.clips_parts import needs_voices, plans, rng

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made() -> list:
    """A small shard with something of every kind that matters."""
    return plan.make_shard(Shard("train", 3, 1, 24))


def test_training_and_testing_share_no_voice_and_no_person():
    def heard(split: plan.Split) -> set[str]:
        drawn = [speakers.cast("a", split, "en", rng(seed)) for seed in range(600)]
        drawn += [speakers.cast("好", split, "zh", rng(seed)) for seed in range(200)]
        return {one.speaker for one in drawn} | {one.utterance.voice for one in drawn}

    assert not heard("train") & heard("test")
    variants = {voice.split("+")[1] for voice in heard("test") if "+" in voice}
    assert len(variants) >= 3
    assert not variants & {voice.split("+")[1] for voice in heard("train") if "+" in voice}


def test_tests_cover_every_question_every_sound_and_every_count():
    rows = [one.row for number in range(10) for one in plan.plan_shard(Shard("test", number, 1))]
    assert {row["question"]["id"] for row in rows if row["question"]} == set(questions.all_ids())
    assert {row["sound"] for row in rows} >= set(sounds.SOUNDS)
    assert {(row["count"], row["of"]) for row in rows if row["count"]} == {
        (count, of) for count in range(1, 7) for of in ("beeps", "knocks")
    }
    kinds = [row["kind"] for row in rows]
    assert kinds.count("sentence") >= 400
    assert kinds.count("sound") >= 300
    assert kinds.count("count") >= 150
    assert kinds.count("question") >= 300


@needs_voices
def test_men_and_women_speak_about_equally():
    spoken = [one.row["gender"] for one in plans("train", 1000) if one.casting]
    men, women = spoken.count("male"), spoken.count("female")
    assert 0.6 < men / women < 1.6


@needs_voices
def test_a_shard_says_what_its_rows_say_and_the_same_seed_makes_the_same(made: list):
    again = plan.make_shard(Shard("train", 3, 1, 24))
    assert len(made) >= 23
    for (row, heard), (row_again, heard_again) in zip(made, again, strict=True):
        assert row == row_again
        np.testing.assert_array_equal(heard, heard_again)
        assert np.isfinite(heard).all()
        assert 0.3 < len(heard) / SAMPLE_RATE < 13
        if row["language"] == "en":
            assert row["words"]
            assert len(row["words"]) / (len(heard) / SAMPLE_RATE) < 24, "faster than anyone speaks"


@needs_voices
def test_every_synthesizer_speaks_and_a_higher_shift_is_a_smaller_person():
    voices = [(one.synthesizer, one.voice) for one in speakers.voices_of("train") if one.voice]
    for synthesizer, voice in [*voices, ("espeak-ng", "en-us+f2"), ("flite", "kal16")]:
        text = "We would like to go to the park."
        pair = [Utterance(synthesizer, voice, text, shift) for shift in (0.85, 1.2)]
        low, high = (np.abs(np.fft.rfft(heard)) for heard in say_all(pair, 1) if heard is not None)
        centres = [
            np.average(np.linspace(0, 8000, len(one)), weights=one**2) for one in (low, high)
        ]
        assert centres[0] < centres[1], voice


def test_voices_that_are_not_installed_are_not_asked_to_speak(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speakers, "at_hand", lambda synthesizer: synthesizer != "rhvoice")
    everybody = {one.row["synthesizer"] for one in plans("train", 1000) if one.casting}
    assert everybody == {"espeak-ng", "flite", "festival", "piper", "hibari", "pico"}


@needs_voices
def test_a_library_reads_back_and_forgets_a_half_written_end(made: list, tmp_path: Path):
    append(tmp_path, write_shard(tmp_path, "train-0003", made))
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"id": "half')
    rows = open_library(tmp_path)
    assert [row["id"] for row in rows] == [row["id"] for row, _ in made]
    for row, (_, heard) in zip(rows, made, strict=True):
        np.testing.assert_allclose(samples(row), heard, atol=1e-4)
        assert row["seconds"] == pytest.approx(len(heard) / SAMPLE_RATE, abs=1e-3)
    assert finished_shards(tmp_path) == {"train-0003"}
    lines = (tmp_path / "index.jsonl").read_text().splitlines()
    assert all(json.loads(line)["split"] == "train" for line in lines)


def test_the_examples_are_those_that_their_readme_names():
    names = {one.file for one in examples.EXAMPLES}
    folder = examples.FOLDER
    assert {file.name for file in folder.iterdir()} == {*names, "README.md"}
    seconds = {}
    for file in sorted(names):
        info = soundfile.info(folder / file)
        seconds[file] = info.frames / info.samplerate
        assert info.channels == 1
        assert (folder / file).stat().st_size < 150_000
        if not file.endswith(".ogg"):
            assert info.samplerate == SAMPLE_RATE
    assert seconds[examples.LONG_CLIP] > examples.LAST_PART_SECONDS > 30
    assert (folder / "README.md").read_text(encoding="utf-8") == examples.readme(seconds)


def test_example_sounds_are_made_by_this_code_and_this_seed():
    for example in examples.EXAMPLES:
        if example.maker in sounds.SOUNDS or example.maker == "four knocks":
            kept, _ = soundfile.read(examples.FOLDER / example.file, dtype="float32")
            np.testing.assert_allclose(kept, examples.samples_of(example), atol=1e-4)


def test_every_synthesizer_and_recording_has_a_licence():
    named = " ".join(f"{source.name} {source.package}" for source in SOURCES)
    for name in ("espeak-ng", "flite", "slt", "rms", "awb", "kal16", "ked_diphone", "kal_diphone"):
        assert name in named
    assert all(source.licence for source in SOURCES)
    assert {source.use for source in SOURCES if "person" in source.note} <= {"testing"}
