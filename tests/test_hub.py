"""Fetching a checkpoint from a hub of our own, which serves it whole, in part or not at all."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from demo.checkpoint import PREVIEW
from demo.hub import HubError, _Order, _require_room
from tests.checkpoint_parts import folder as folder
from tests.hub_parts import etag, serving
from tests.serving import ROOT

WANTED = (".json", ".safetensors", ".jinja")
FETCH = """
import json, sys
from demo.engine import EngineError
from demo.hub import fetch
seen = []
report = lambda status: seen.append([status.phase, status.fraction, str(status.text)])
try:
    folder = str(fetch("me/mine", sys.argv[1], report))
    print(json.dumps({"folder": folder, "seen": seen}))
except EngineError as error:
    print(json.dumps({"key": error.key, "en": str(error), "zh": error.say("zh")}))
"""


def fetched(hub: str, home: Path, endpoint: str) -> dict[str, Any]:
    """What `fetch` gives in a process of its own: the hubs' clients read the environment once."""
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "MODELSCOPE_CACHE": str(home / "ms"),
        "MODELSCOPE_ENDPOINT": endpoint,
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", FETCH, hub], env=environ, capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("hub", "name"), [("huggingface", "Hugging Face"), ("modelscope", "ModelScope")]
)
def test_a_download_is_whole_tells_its_progress_and_is_kept(
    folder: Path, tmp_path: Path, hub: str, name: str
) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"not wanted")
    (folder / "README.md").unlink(missing_ok=True)
    with serving(folder) as endpoint:
        got = fetched(hub, tmp_path, endpoint)
        there = Path(got["folder"])
        wanted = {file for file in PREVIEW.iterdir() if file.suffix in WANTED}
        visible = {file.name for file in there.iterdir() if not file.name.startswith(".")}
        assert visible == {file.name for file in wanted}
        assert all(etag(there / file.name) == etag(file) for file in wanted)
        fractions = [fraction for _, fraction, _ in got["seen"] if fraction is not None]
        assert len(fractions) > 3
        assert fractions == sorted(fractions)
        assert fractions[-1] == pytest.approx(1.0)
        assert f"Downloading me/mine from {name}" in got["seen"][-1][2]
        again = fetched(hub, tmp_path, endpoint)
        assert (again["folder"], len(again["seen"])) == (got["folder"], 1)
    offline = fetched(hub, tmp_path, endpoint)
    assert offline.get("folder") == got["folder"], offline


WEIGHTS = "model.safetensors"


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_a_download_goes_on_where_the_hub_hung_up(folder: Path, tmp_path: Path, hub: str) -> None:
    with serving(folder, breaks=WEIGHTS) as endpoint:
        got = fetched(hub, tmp_path, endpoint)
    assert etag(Path(got["folder"]) / WEIGHTS) == etag(PREVIEW / WEIGHTS)


def test_a_download_that_broke_off_is_made_whole(folder: Path, tmp_path: Path) -> None:
    with serving(folder, breaks=WEIGHTS, leaves=True) as endpoint:
        broken = fetched("huggingface", tmp_path, endpoint)
    assert broken.get("key") == "broken_off", broken
    assert "Start again" in broken["en"]
    with serving(folder) as endpoint:
        got = fetched("huggingface", tmp_path, endpoint)
    assert etag(Path(got["folder"]) / WEIGHTS) == etag(PREVIEW / WEIGHTS)


@pytest.mark.parametrize(
    ("hub", "status", "key"),
    [
        ("huggingface", 404, "not_found"),
        ("huggingface", 401, "not_found"),
        ("huggingface", 403, "gated"),
        ("modelscope", 404, "not_found"),
        ("modelscope", 403, "gated"),
    ],
)
def test_a_refusal_of_a_hub_is_told(
    folder: Path, tmp_path: Path, hub: str, status: int, key: str
) -> None:
    with serving(folder, status) as endpoint:
        got = fetched(hub, tmp_path, endpoint)
    assert got.get("key") == key, got
    assert "TOKEN" in got["en"]


@pytest.mark.parametrize(
    ("hub", "other"), [("huggingface", "modelscope"), ("modelscope", "huggingface")]
)
def test_a_hub_that_cannot_be_reached_is_told_at_once(tmp_path: Path, hub: str, other: str) -> None:
    begun = time.monotonic()
    got = fetched(hub, tmp_path, "http://127.0.0.1:9")
    assert got.get("key") == "unreachable", got
    assert f"--hub {other}" in got["en"]
    assert f"--hub {other}" in got["zh"]
    assert time.monotonic() - begun < 60


def test_modelscope_too_is_asked_how_much_there_is_to_come(folder: Path, tmp_path: Path) -> None:
    with serving(folder, claimed=10**15) as endpoint:
        told = fetched("modelscope", tmp_path, endpoint)
    assert told["key"] == "disk"
    assert "MODELSCOPE_CACHE" in told["en"]
    assert not list((tmp_path / "ms").rglob("*.safetensors"))


def test_a_full_disk_is_told_before_the_download(tmp_path: Path) -> None:
    order = _Order("me/mine", "huggingface")
    _require_room(order, 1.0, tmp_path)
    with pytest.raises(HubError, match=r"needs 1000000\.0 GB .* HF_HOME"):
        _require_room(order, 1e15, tmp_path / "not" / "there")
