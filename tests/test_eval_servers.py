"""`python -m eval_audio` by servers that speak OpenAI's chat API: what they get, and what comes."""

import json
from pathlib import Path

import pytest

from eval_audio.answering import CLIP
from eval_audio.servers import turn
from tests.eval_parts import EXAMPLES, SAID, SPOKEN, predictions, row, through, written
from tests.openai_server import MODEL, Visit, saying, talking


def refusing(visit: Visit) -> None:
    visit.refuse(400, "At most 0 audio(s) may be provided in one prompt.")


def test_rows_are_answered_by_a_server_in_turns(tmp_path: Path, capsys: pytest.CaptureFixture):
    lines = [row(str(EXAMPLES / name), gt="A woman is here") for name in SPOKEN]
    lines[1]["prompt"] = f"Before {CLIP} after"
    with talking(saying("A woman ", "is here.")) as server:
        assert through([server.url], written(tmp_path, lines), tmp_path / "out") == 0
        asked = [one["messages"][-1]["content"] for one in server.asked]
    assert [one["response"] for one in predictions(tmp_path / "out")] == ["A woman is here."] * 3
    kinds = sorted([part.get("text", part["type"]) for part in content] for content in asked)
    plain = ["input_audio", SAID]
    assert kinds == [["Before ", "input_audio", " after"], plain, plain]
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["model"], result["device"], result["form"]) == (MODEL, "servers", "chat")
    assert result["groups"][0]["value"] == 0
    assert {one["temperature"] for one in server.asked} == {0.0}


def test_what_a_server_refuses_is_the_error_of_its_row_and_is_asked_again(tmp_path: Path):
    manifest = written(tmp_path, [row(str(EXAMPLES / name)) for name in SPOKEN])
    with talking(refusing, saying("It is.")) as server:
        assert through([server.url], manifest, tmp_path / "out") == 0
        first = predictions(tmp_path / "out")
        assert len(server.asked) == 3
        assert sum("error" in one for one in first) == 1
        assert through([server.url], manifest, tmp_path / "out") == 0
        assert len(server.asked) == 4
    assert [one["response"] for one in predictions(tmp_path / "out")] == ["It is."] * 3


def test_a_server_without_the_model_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    manifest = written(tmp_path, [row(str(EXAMPLES / SPOKEN[0]))])
    with talking() as server:
        assert through([server.url], manifest, tmp_path / "out", "--model other") == 1
    assert f"other; it serves {MODEL}" in capsys.readouterr().err


def test_servers_are_not_asked_raw_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        through(["http://127.0.0.1:9/v1"], tmp_path / "none", tmp_path / "out", "--form raw")
    assert ended.value.code == 2
    assert "servers are asked in turns" in capsys.readouterr().err


def test_a_prompt_may_name_the_clip_with_or_without_its_marks():
    for mark in (CLIP, "<|AUDIO|>"):
        content = turn(f"{mark}What is it?", 2)[0]["content"]
        assert [part["type"] for part in content] == ["audio", "audio", "text"]
        assert content[-1]["text"] == "What is it?"
