"""Conversations drawn from the clips, their answers, and what counts as a right one."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval_audio.cases import Case
from eval_audio.preview import normal, right
from finetune import answers
from finetune.conversations import MAKERS, conversation
from finetune.manifest import Manifest
from finetune.pairs import said_of_levels
from finetune.rendering import audio_parts
from finetune.shelf import SCHEME, Shelf
from tests.finetune_parts import talk


def row(name: str, kind: str, **fields) -> dict:
    """A library row, as the clips' index has them."""
    blank = dict.fromkeys(
        ("text", "words", "question", "sound", "count", "of", "pitch", "gender", "level")
    )
    return {"id": name, "kind": kind, "language": "en", "seconds": 1.0, **blank, **fields}


def spoken(name: str, text: str, kind: str = "sentence", **fields) -> dict:
    return row(name, kind, text=text, words=text.lower().strip("."), **fields)


@pytest.fixture(scope="module")
def shelf():
    levels = ("quiet", "normal", "loud")
    rows = [spoken(f"s{n}", f"Sentence {n}.", level=levels[n % 3], gender="male") for n in range(9)]
    rows += [spoken(f"w{n}", "Six", kind) for n, kind in enumerate(("word", "digit", "number"))]
    rows += [
        spoken("q", "What is two plus two?", "question", question={"id": "add", "a": 2, "b": 2})
    ]
    rows += [spoken("z", "你好。", "question_zh", question={"id": "zh_hello"}, language="zh")]
    rows += [
        row("x", "sound", sound="siren", level="loud", pitch="high"),
        row("y", "silence", sound="silence"),
    ]
    rows += [row(f"c{n}", "count", sound="beeping", count=n, of="beeps") for n in (1, 3)]
    return Shelf(rows, seed=1, long_clips=5)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_conversations_end_with_the_assistant_and_name_only_clips_of_the_shelf(shelf, name):
    for seed in range(30):
        turns = MAKERS[name](shelf, np.random.default_rng(seed))
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert all(turn["content"] for turn in turns)
        for part in audio_parts(turns):
            assert set(part["audio_url"].removeprefix(SCHEME).split("+")) <= set(shelf.rows)


def test_the_same_seed_draws_the_same_conversation(shelf):
    first, again, other = (conversation(shelf, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_answers_are_those_of_the_rows(shelf):
    said = shelf.rows
    assert answers.voice(said["q"]) == "Two plus two is four."
    assert answers.transcribe(said["q"], zh=False) == "What is two plus two?"
    assert answers.voice(said["c3"]) == "I hear three beeps."
    assert answers.count(said["c1"], zh=False) == "I hear one beep."
    assert answers.transcript(said["c3"]) == "beep beep beep"
    assert answers.sound(said["y"], zh=True) == "我只听到寂静。"
    assert answers.COMMAND in answers.honest(zh=True)


def test_scoring_forgives_writing_and_nothing_else():
    case = Case("sentences", "transcribe", [], "It's 7 o'clock.", "words")
    assert right(case, "it's seven o'clock")
    assert not right(case, "it's six o'clock")
    assert normal("Twenty-one, please!") == "twenty one please"
    length = Case("length", "length", [], "It is about ten seconds long.", "seconds")
    assert right(length, "It is about nine seconds long.")
    assert not right(length, "It is about seven seconds long.")
    assert not right(length, "I hear a siren.")


def test_a_manifest_is_read_in_either_spelling(tmp_path: Path):
    turns = talk("a", "I hear a siren.")
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(json.dumps({key: turns}) for key in ("messages", "conversation")))
    manifest = Manifest(path)
    assert [manifest[0], manifest[1]] == [turns, turns]
    assert list(manifest.clips()) == ["a"]


def test_which_is_louder_follows_from_how_loud_each_is():
    quiet_loud = "The first clip is quiet and the second loud, so the "
    assert said_of_levels(["quiet", "loud"], True, False) == f"{quiet_loud}second is louder."
    assert said_of_levels(["quiet", "loud"], False, False) == f"{quiet_loud}first is quieter."
    assert said_of_levels(["loud", "normal"], True, False).endswith("so the first is louder.")
    assert (
        said_of_levels(["loud", "quiet"], False, True) == "第一段很响，第二段很轻，所以第二段更轻。"
    )
