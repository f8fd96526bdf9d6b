"""What comes of a batch: scores, tables, and files that a killed run goes on with."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from demo.batch import lines
from demo.batch.output import Output
from demo.batch.rows import Row
from demo.batch.rules import BatchError
from demo.batch.score import score
from demo.batch.work import Done

ASK = "Transcribe the speech."


# Scores.


@pytest.mark.parametrize(
    ("task", "pairs", "metric", "value"),
    [
        ("transcribe", [("The cat sat.", "the cat sat"), ("One, two!", "one three")], "wer", 0.2),
        ("transcribe", [("今天天气很好。", "今天天汽很好")], "cer", 1 / 6),
        ("transcribe", [("one", "")], "wer", 1.0),
        ("emotion", [("Happy", "happy."), ("sad", "angry")], "exact", 0.5),
    ],
)
def test_scores_by_hand(task: str, pairs: list[tuple[str, str]], metric: str, value: float):
    found = score(pairs, task)
    assert found
    assert (found.metric, found.rows) == (metric, len(pairs))
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize("pairs", [[], [("", "words")], [("...", "words")]])
def test_nothing_to_compare_has_no_score(pairs: list[tuple[str, str]]):
    assert score(pairs, "transcribe") is None


# What is written.


def answered(place: int, row: Row, reply: str = "yes", error: Any = None) -> Done:
    return Done(place, row, reply, 1.234, error)


def test_a_table_is_read_back_as_it_was_written():
    row = Row("/x/a.wav", 'Say "this",\nplease', "你好", "a.wav")
    failed = answered(1, row, "", BatchError("no_prompt"))
    told = [lines.as_json(one, "preview") for one in (answered(0, row, "one, two"), failed)]
    assert told[0] == {"audio": "a.wav", "prompt": row.prompt, "reply": "one, two", "gt": "你好",
                       "seconds": 1.23, "model": "preview"}  # fmt: skip
    table = csv.DictReader(io.StringIO(lines.as_csv(told).removeprefix("\ufeff"), newline=""))
    first, second = table
    assert (first["prompt"], first["reply"], first["gt"]) == (row.prompt, "one, two", "你好")
    assert "own prompt is empty" in second["error"]
    assert [json.loads(line) for line in lines.as_lines(told).splitlines()] == told


def test_a_spreadsheet_gets_no_formula():
    told = [lines.as_json(answered(0, Row("a.wav", ASK), "=1+1"), "preview")]
    assert "'=1+1" in lines.as_csv(told)


def test_an_output_that_a_kill_left_is_gone_on_with(tmp_path: Path):
    file = tmp_path / "out.jsonl"
    rows = [Row(f"/{folder}/a.wav", ASK, named=f"{folder}/a.wav") for folder in "wxyz"]
    first = Output(file, rows, "preview")
    first.add(answered(2, rows[2], "two"))
    first.add(answered(0, rows[0], "", BatchError("no_prompt")))
    with file.open("a") as half:
        half.write('{"audio": "x/a.wav", "prompt": "Tra')
    again = Output(file, rows, "preview")
    assert list(again.left) == [0, 1, 3]
    for place, row in again.left.items():
        again.add(answered(place, row, str(place)))
    again.finish()
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(one["audio"], one["reply"]) for one in told] == [
        ("w/a.wav", "0"), ("x/a.wav", "1"), ("y/a.wav", "two"), ("z/a.wav", "3"),
    ]  # fmt: skip


def test_a_name_that_is_not_utf_8_is_written_and_found_again(tmp_path: Path):
    file, rows = tmp_path / "out.jsonl", [Row("caf\udce9.wav", ASK), Row("café.wav", ASK)]
    first = Output(file, rows, "preview")
    for place, row in enumerate(rows):
        first.add(answered(place, row))
    first.finish()
    assert not Output(file, rows, "preview").left
    assert "café.wav" in file.read_text(encoding="utf-8")


def test_an_output_keeps_the_lines_of_other_rows_and_models(tmp_path: Path):
    file, rows = tmp_path / "out.jsonl", [Row("a.wav", ASK)]
    other = Output(file, rows, "another/model")
    other.add(answered(0, rows[0], "theirs"))
    mine = Output(file, rows, "preview")
    assert list(mine.left) == [0]
    mine.add(answered(0, rows[0], "mine"))
    mine.finish()
    assert [json.loads(line)["reply"] for line in file.read_text().splitlines()] == [
        "theirs",
        "mine",
    ]


def test_a_file_that_is_no_output_is_left_alone(tmp_path: Path):
    file = tmp_path / "notes.jsonl"
    file.write_text("My notes.\n")
    with pytest.raises(BatchError, match="line 1"):
        Output(file, [Row("a.wav", ASK)], "preview")
    assert file.read_text() == "My notes.\n"


def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path: Path):
    with pytest.raises(BatchError, match="cannot be written"):
        Output(tmp_path / "no" / "out.jsonl", [Row("a.wav", ASK)], "preview")
