"""`python -m demo.batch` as a person runs it, and kills it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from demo.batch.command import main
from tests.conftest import CLIPS
from tests.openai_server import MODEL, saying, talking
from tests.serving import PATIENCE, ROOT
from tests.sounds import tone, wav

pytestmark = pytest.mark.slow

FLAGS = ["--model", "preview", "--cpu-only", "--max-new-tokens", "8"]
GLASS, KNOCKS = CLIPS / "glass-breaking.flac", CLIPS / "four-knocks.flac"


def told(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def run(*arguments: str | Path) -> int:
    return main([*map(str, arguments), *FLAGS])


def test_servers_tell_which_model_has_replied(tmp_path: Path):
    """It was "auto", so that another model's replies passed for this one's."""
    out = tmp_path / "out.jsonl"
    with talking(saying("A bird.")) as server:
        asked = ["--task", "sound", "--output", str(out), "--engine", "openai"]
        assert main([str(GLASS), *asked, "--base-url", server.url]) == 0
    (line,) = told(out)
    assert (line["reply"], line["model"]) == ("A bird.", MODEL)


def test_a_killed_run_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clips, out = tmp_path / "clips", tmp_path / "out.jsonl"
    clips.mkdir()
    for number in range(12):
        (clips / f"{number:02}.wav").write_bytes(wav(tone(2.0, hz=200 + 50 * number)))
    asked = ["--task", "sound", "--output", str(out), "--batch-size", "1", *FLAGS]
    command = [sys.executable, "-m", "demo.batch", str(clips), *asked]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    while not (out.exists() and out.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = out.read_text(encoding="utf-8")
    whole = kept[: kept.rindex("\n") + 1]
    assert 0 < len(whole.splitlines()) < 12
    out.write_text(whole + '{"audio": "half a li', encoding="utf-8")

    assert run(clips, "--task", "sound", "--output", out) == 0
    assert set(whole.splitlines()) < set(out.read_text(encoding="utf-8").splitlines())
    assert [Path(one["audio"]).name for one in told(out)] == [f"{n:02}.wav" for n in range(12)]
    assert "12 of 12 clips have a reply" in capsys.readouterr().out

    finished = out.read_bytes()
    assert run(clips, "--task", "sound", "--output", out) == 0  # nothing is left: no model loads
    assert out.read_bytes() == finished
    assert "Loading" not in capsys.readouterr().err


def test_failed_rows_are_counted_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    manifest, out = tmp_path / "manifest.csv", tmp_path / "out.jsonl"
    manifest.write_text(f"audio,gt\n{GLASS},glass\nlater.wav,\n{KNOCKS},knocks\n")
    assert run(manifest, "--prompt", "What is it?", "--output", out) == 1
    said = capsys.readouterr()
    assert "2 of 3 clips have a reply in out.jsonl; 1 failed." in said.out
    assert "equal replies" in said.out
    assert "later.wav is not there" in said.err
    assert [bool(one.get("error")) for one in told(out)] == [False, True, False]

    (tmp_path / "later.wav").write_bytes(wav())
    before = told(out)
    assert run(manifest, "--prompt", "What is it?", "--output", out) == 0
    after = told(out)
    assert [after[0], after[2]] == [before[0], before[2]]
    assert "error" not in after[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([GLASS, "--task", "own"], "own prompt is empty"),
        ([GLASS, "--task", "raw", "--prompt", "no clip"], "exactly once"),
        (["{}/empty"], "nothing to do"),
        (["{}/bad.jsonl"], "bad.jsonl, line 1"),
    ],
)
def test_what_cannot_begin_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[Any], said: str
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jsonl").write_text("not JSON\n")
    out = tmp_path / "out.jsonl"
    assert run(*(str(one).format(tmp_path) for one in arguments), "--output", out) == 1
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "transcribe", "--prompt", "Why?"], "goes with --task own or raw"),
        (["--batch-size", "0"], "0 is not 1 or more"),
        (["--task", "sing"], "invalid choice"),
    ],
)
def test_flags_that_contradict_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    with pytest.raises(SystemExit):
        run(GLASS, "--output", tmp_path / "out.jsonl", *arguments)
    assert said in capsys.readouterr().err
