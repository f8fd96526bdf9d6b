"""Smoke runs of the benchmarks: they finish, and both ways give the same tokens. Never a time."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import torch

from benchmarks import batch, conversation, decode, load
from benchmarks.shapes import build
from benchmarks.visitors import opened, pieces
from tests.serving import ROOT, Served


def test_both_ways_give_the_same_tokens(tmp_path: Path, capsys):
    drawn = tmp_path / "plot.png"
    flags = ["--shape", "tiny", "--turns", "2", "--seconds", "1", "--tokens", "4"]
    result = conversation.main([*flags, "--device", "cpu", "--plot", str(drawn)])
    assert result["tokens_equal"]
    assert result["ahead_tokens_equal"]
    assert result["peak_bytes"]["app"] > 0
    assert all(len(turn["app"]["ids"]) == 4 for turn in result["turns"])
    assert drawn.stat().st_size > 0
    assert capsys.readouterr().out.splitlines()[0].startswith("turn")


def test_shapes_are_in_the_precision_asked_for():
    """They were in float32 whatever was asked, and in bfloat16 the model card's way failed."""
    flags = ["--shape", "tiny", "--turns", "1", "--seconds", "1", "--tokens", "3"]
    model, _ = build("tiny", "cpu", torch.bfloat16)
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    result = conversation.main([*flags, "--device", "cpu", "--dtype", "bfloat16"])
    assert len(result["turns"][0]["card"]["ids"]) == 3


def test_the_page_shows_the_whole_reply(tmp_path: Path):
    drawn = tmp_path / "plot.png"
    flags = ["--shape", "tiny", "--turns", "1", "--seconds", "1", "--tokens", "150"]
    command = [sys.executable, "-m", "benchmarks.page", *flags, "--plot", str(drawn)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["shown_whole"]
    assert any(part["bytes"] > 0 for part in result["reply"])
    assert drawn.stat().st_size > 0


def test_every_way_to_decode_gives_the_same_tokens(tmp_path: Path):
    drawn = tmp_path / "plot.png"
    ways = ["--ways", "card", "eager"]
    flags = ["--shape", "tiny", "--tokens", "6", "--device", "cpu", "--plot", str(drawn)]
    result = decode.main([*flags, *ways])
    assert result["tokens_equal"]
    assert drawn.stat().st_size > 0


def test_many_clips_at_once_get_the_replies_that_each_gets_alone(tmp_path: Path):
    drawn = tmp_path / "plot.png"
    flags = ["--shape", "tiny", "--rows", "5", "--seconds", "2", "--tokens", "6"]
    result = batch.main([*flags, "--sizes", "2", "5", "--device", "cpu", "--plot", str(drawn)])
    assert result["replies_equal"]
    assert result["fastest"] in (1, 2, 5)
    assert drawn.stat().st_size > 0


def test_a_crowd_of_users_get_each_their_own_replies():
    (row,) = load.main(["--users", "3", "--replies", "6", "--conversations", "2"])["rows"]
    assert set(row["ended"]) <= {"right", "stopped"}
    assert row["ended"]["right"] >= 5


def test_a_visitor_whose_call_fails_is_told_so(served: Served):
    """The client's own loop over a job that failed never ends."""
    client = opened(served.url)
    client.httpx_kwargs = {"timeout": 1e-6}
    with pytest.raises(httpx.TimeoutException):
        list(pieces(client.submit({"text": "Hello", "files": []}, api_name="/chat")))
