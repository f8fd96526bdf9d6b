"""Smoke runs of the benchmarks: they finish, and both ways give the same tokens. Never a time."""

from pathlib import Path

from benchmarks import conversation


def test_both_ways_give_the_same_tokens(tmp_path: Path, capsys):
    drawn = tmp_path / "plot.png"
    flags = [
        "--shape",
        "tiny",
        "--turns",
        "3",
        "--seconds",
        "1",
        "--tokens",
        "4",
        "--device",
        "cpu",
    ]
    result = conversation.main([*flags, "--device", "cpu", "--plot", str(drawn)])
    assert result["tokens_equal"]
    assert all(len(turn["app"]["ids"]) == 4 for turn in result["turns"])
    assert drawn.stat().st_size > 0
    assert capsys.readouterr().out.splitlines()[0].startswith("turn")
