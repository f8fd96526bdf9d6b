"""What a batch asks: its prompts, and its rows from files, folders and manifests."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from demo.batch import command
from demo.batch.collect import collect
from demo.batch.manifest import read
from demo.batch.rows import CAPTION, CHOICES, Row, joined, question
from demo.batch.rules import SOUND, BatchError
from tests.sounds import tone, wav

ASK = "Transcribe the speech."


# What is asked.


def test_a_task_has_its_prompt_in_either_language():
    assert question("transcribe", "english", None, "en") == ASK
    assert "法语" in question("translate", "french", None, "zh")
    assert question("raw", "english", None, "en") == CAPTION
    assert question("own", "english", "Who speaks?", "en") == "Who speaks?"


@pytest.mark.parametrize(
    ("task", "target", "own", "key"),
    [
        ("sing", "english", None, "task"),
        ("translate", "klingon", None, "language"),
        ("own", "english", "  ", "no_prompt"),
        ("own", "english", None, "no_prompt"),
        ("raw", "english", "No clip.", "raw"),
        ("own", "english", "<|AUDIO|> alone", "raw"),
        ("raw", "english", SOUND * 2, "raw"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(task: str, target: str, own: Any, key: str):
    with pytest.raises(BatchError) as error:
        question(task, target, own, "en")
    assert error.value.key == key


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        ([" one ", "", "two"], "one two"),
        (["你好。", "再见"], "你好。再见"),
        (["你好", "hello"], "你好 hello"),
        ([], ""),
    ],
)
def test_windows_are_joined_with_a_space_but_in_chinese(texts: list[str], whole: str):
    assert joined(texts) == whole


@pytest.mark.parametrize(
    ("audio", "named", "name"),
    [
        ("/tmp/x/1.wav", None, "1.wav"),
        ("/tmp/x/1.wav", "deep/a.wav", "a.wav"),
        ("http://host/a/b.mp3?key=secret", None, "b.mp3"),
        ("data:audio/wav;base64,AAAA/BBBB", None, "clip"),
    ],
)
def test_a_row_is_called_by_its_base_name(audio: str, named: str | None, name: str):
    assert Row(audio, ASK, named=named).name == name


def test_help_names_every_task():
    text = command.build_parser().format_help()
    assert all(task in text for task in CHOICES)
    assert all(flag in text for flag in ("--output", "--model", "--device", "--dtype", "--hub"))


# Files, folders, manifests.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips, one of them deeper, and what is no clip."""
    (tmp_path / "deep").mkdir()
    for name in ("b.wav", "deep/a.wav", ".hidden.wav", "._b.wav"):
        (tmp_path / name).write_bytes(wav(tone(0.5)))
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


def test_a_folder_is_its_sounds_in_order(folder: Path):
    names = [row.named for row in collect([str(folder)], ASK)]
    assert names == [str(folder / "b.wav"), str(folder / "deep" / "a.wav")]


def test_what_is_named_is_a_row_whatever_it_is(folder: Path):
    named = [str(folder / "notes.txt"), "http://127.0.0.1:9/a.wav", str(folder / "gone.wav")]
    assert [row.named for row in collect(named, ASK)] == named


def test_nothing_is_refused(tmp_path: Path):
    with pytest.raises(BatchError, match="nothing to do"):
        collect([str(tmp_path)], ASK)


def test_manifests_say_the_same_in_json_lines_and_csv(tmp_path: Path):
    told = [{"audio": "a.wav", "prompt": 'Say "why,\nnow"', "gt": "你好, yes"}, {"audio": "b.wav"}]
    jsonl, table = tmp_path / "m.jsonl", tmp_path / "m.csv"
    jsonl.write_text("".join(json.dumps(one) + "\n\n" for one in told), encoding="utf-8")
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["audio", "gt", "prompt", "source"])
        writer.writeheader()
        writer.writerows(told)
    rows = read(jsonl, ASK, lambda audio: f"/{audio}")
    assert rows == read(table, ASK, lambda audio: f"/{audio}")
    assert rows[0] == Row("/a.wav", told[0]["prompt"], "你好, yes", "a.wav")
    assert rows[1] == Row("/b.wav", ASK, None, "b.wav")


def test_a_manifests_paths_begin_at_its_folder(folder: Path):
    manifest = folder / "deep" / "m.jsonl"
    manifest.write_text('{"audio": "a.wav"}\n{"audio": "../b.wav"}\n{"audio": "http://x/c.wav"}\n')
    paths = [row.audio for row in collect([str(manifest)], ASK)]
    assert Path(paths[1]).resolve() == folder / "b.wav"
    assert paths[::2] == [str(folder / "deep" / "a.wav"), "http://x/c.wav"]


def test_a_raw_prompt_of_a_manifest_is_checked_in_its_row(tmp_path: Path):
    manifest = tmp_path / "m.jsonl"
    lines = [{"audio": "a", "prompt": "<|AUDIO|>"}, {"audio": "b", "prompt": f"{SOUND}Words:"}]
    manifest.write_text("".join(json.dumps(one) + "\n" for one in lines))
    first, second = read(manifest, ASK, str)
    assert first.problem
    assert not second.problem
    assert second.raw


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("m.jsonl", b'{"audio": "a"}\n["b"]\n', "line"),
        ("m.jsonl", b'{"path": "a"}', "line"),
        ("m.jsonl", b'{"audio": "a"', "line"),
        ("m.jsonl", b"[" * 100_000, "line"),
        ("m.jsonl", b'{"audio": 3}', "field"),
        ("m.jsonl", b'{"audio": "a", "gt": 5}', "field"),
        ("m.jsonl", b'{"audio": " "}', "audio"),
        ("m.jsonl", "{}".encode("utf-16"), "not_text"),
        ("m.csv", b"file,gt\na,b\n", "column"),
        ("m.csv", b"", "column"),
        ("m.csv", b"audio\n" + b"a" * 200_000, "unreadable"),
        ("m.csv", b"audio,gt\n,b\n", "audio"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused_with_its_name(
    tmp_path: Path, name: str, content: bytes, key: str
):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BatchError, match=name) as error:
        read(path, ASK, str)
    assert error.value.key == key


@pytest.mark.parametrize(("count", "length", "key"), [(11, 1, "too_many_rows"),
                                                      (1, 20_001, "too_large")])  # fmt: skip
def test_a_manifest_from_a_visitor_has_a_limit(tmp_path: Path, count: int, length: int, key: str):
    file = tmp_path / "many.jsonl"
    file.write_text(count * (json.dumps({"audio": "a" * length}) + "\n"))
    assert len(read(file, ASK, str)) == count
    with pytest.raises(BatchError) as error:
        read(file, ASK, str, most=10)
    assert error.value.key == key
    assert "10" in error.value.say("zh") or "0 MB" in error.value.say("zh")
