"""The files of `python -m eval_audio`: what a manifest may hold, and what processes write."""

import json
import os
import subprocess
import sys

import pytest

from eval_audio.answering import CLIP
from eval_audio.manifest import BadRow, EvalError, Row, read
from eval_audio.store import Store
from tests.eval_parts import EXAMPLES, SPOKEN, evaluate, predictions, row, written
from tests.serving import ROOT, free_port

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("task", "line", "error"),
    [
        ("asr", {"audio": "a.wav", "prompt": "p"}, "Line 1 has no gt."),
        ("asr", {"audio": 3, "prompt": "p", "gt": "x"}, None),
        ("asr", {"audio": "a.wav", "prompt": "p", "gt": ""}, None),
        ("asr", {"audio": True, "prompt": "p", "gt": "x"}, "Line 1 has no audio."),
        (
            "asr",
            {"audio": "a.wav", "prompt": f"{CLIP}{CLIP}", "gt": "x"},
            "Line 1 has 2 <|AUDIO|> in its prompt; a row has one clip.",
        ),
        ("chat", {"audio": "a.wav", "query": "q"}, "Line 1 has no id."),
        ("chat", {"audio": "a.wav", "query": "q", "id": 7}, None),
    ],
)
def test_what_a_line_must_have(task, line, error, tmp_path):
    (found,) = read(written(tmp_path, [line]), task)
    assert found == BadRow(1, error, "manifest") if error else isinstance(found, Row)


def test_a_manifest_may_begin_with_a_mark_and_end_lines_as_windows_does(tmp_path):
    path = tmp_path / "m.jsonl"
    lines = [json.dumps(row("a.wav")), json.dumps(row("你好.wav"), ensure_ascii=False)]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n\xff\xfe\r\n")
    first, second, bad = read(path, "asr")
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert (first.audio, second.audio) == ("a.wav", "你好.wav")
    assert bad == BadRow(3, "Line 3 is no JSON in UTF-8.", "m")


@pytest.mark.parametrize(
    ("flags", "content", "sentence"),
    [
        ("--task asr --language en", None, "manifest.jsonl cannot be read: No such file"),
        ("--task asr --language en", "\n", "manifest.jsonl has no line in it."),
        ("--task asr", json.dumps(row("a.wav")), "Give --language"),
        ("--task s2tt", json.dumps(row("a.wav")), "What said is translated into is not known"),
        (
            "--task asr --language en --model no",
            json.dumps(row("a.wav")),
            "no is neither a folder",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(flags, content, sentence, tmp_path, capsys):
    manifest = tmp_path / "manifest.jsonl"
    if content is not None:
        manifest.write_text(content)
    assert evaluate(manifest, tmp_path / "out", flags) == 1
    said = capsys.readouterr()
    assert said.err.startswith(sentence)
    assert said.out == ""


def test_parts_of_a_run_that_had_more_processes_are_not_lost(tmp_path):
    rows = [Row(number, "a.wav", "p", "gt", "s") for number in (1, 2, 3)]
    stores = [Store(tmp_path, process) for process in (0, 1, 2)]
    for number, store in enumerate(stores, 1):
        store.append([{"row": number, "audio": "a.wav", "prompt": "p", "response": "x"}])
    with (tmp_path / "predictions.part-2.jsonl").open("a") as part:
        part.write('{"row": 3, "aud')
    assert set(Store(tmp_path).done(rows)) == {1, 2, 3}
    assert [one["row"] for one in Store(tmp_path).gather(rows, [])] == [1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions.jsonl"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvalError, match="out cannot be a folder"):
        Store(tmp_path / "file" / "out")


def test_two_processes_share_the_rows_and_one_prints(tmp_path, capsys):
    lines = [row(str(EXAMPLES / name)) for name in SPOKEN] + [row("gone.wav")]
    manifest = written(tmp_path, lines)
    assert evaluate(manifest, tmp_path / "alone") == 0
    alone = json.loads(capsys.readouterr().out.splitlines()[-1])
    words = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    words += f" --dynamo_backend no --main_process_port {free_port()}"
    flags = "--task asr --language en --model preview --device cpu --dtype float32 --batch-size 3"
    launch = [sys.executable, "-m", "accelerate.commands.launch", *words.split()]
    places = ["--manifest", str(manifest), "--output", str(tmp_path / "shared")]
    done = subprocess.run(
        [*launch, "-m", "eval_audio", *flags.split(), *places],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shared = json.loads(done.stdout.splitlines()[-1])
    assert done.stdout.count("this run") == 1
    assert {**shared, "seconds": 0} == {**alone, "seconds": 0}
    assert predictions(tmp_path / "shared") == predictions(tmp_path / "alone")
    assert not list((tmp_path / "shared").glob("*part*"))
