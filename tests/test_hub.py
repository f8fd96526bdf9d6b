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
from demo.hub import _require_room, fetch
from demo.hub_errors import HubError, Order
from tests.checkpoint_parts import folder as folder
from tests.hub_parts import etag, serving
from tests.serving import ROOT
from tests.serving import serving as app_serving

pytestmark = pytest.mark.slow

WANTED = (".json", ".safetensors", ".jinja")
FETCH = """
import json, sys
from demo import hub
from demo.engine import EngineError
hub.PAUSES = [int(pause) for pause in sys.argv[2:]]
seen = []
report = lambda status: seen.append([status.phase, status.fraction, str(status.text)])
try:
    folder = str(hub.fetch("me/mine", sys.argv[1], report))
    print(json.dumps({"folder": folder, "seen": seen}))
except EngineError as error:
    print(json.dumps({"key": error.key, "en": str(error), "zh": error.say("zh")}))
"""


def fetched(hub: str, home: Path, endpoint: str, *pauses: int) -> dict[str, Any]:
    """What `fetch` gives in a process of its own: the hubs' clients read the environment once.

    Where a download breaks off, it pauses so many seconds and goes on.
    """
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
        "MODELSCOPE_API_MAX_RETRIES": "1",  # its client alone asks for half a minute
        "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "2",
        "MODELSCOPE_DOWNLOAD_RETRY_MAX_DELAY_SECONDS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", FETCH, hub, *map(str, pauses)],
        env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
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
    offline = fetched(hub, tmp_path, "http://127.0.0.1:9")
    assert offline.get("folder") == got["folder"], offline


WEIGHTS = "model.safetensors"


both = pytest.mark.parametrize("hub", ["huggingface", "modelscope"])


@both
def test_a_download_goes_on_where_the_hub_hung_up(folder: Path, tmp_path: Path, hub: str) -> None:
    resumed: list[str] = []
    with serving(folder, breaks=WEIGHTS, resumed=resumed) as endpoint:
        got = fetched(hub, tmp_path, endpoint)
    assert etag(Path(got["folder"]) / WEIGHTS) == etag(PREVIEW / WEIGHTS)
    assert resumed == [WEIGHTS]


@both
def test_a_hub_that_was_away_is_asked_again(folder: Path, tmp_path: Path, hub: str) -> None:
    with serving(folder, breaks=WEIGHTS, away=12) as endpoint:  # longer than its client asks again
        got = fetched(hub, tmp_path, endpoint, *[4] * 10)
    assert any("goes on in 4 s" in text for _, _, text in got["seen"])
    assert etag(Path(got["folder"]) / WEIGHTS) == etag(PREVIEW / WEIGHTS)


@both
def test_a_download_that_broke_off_is_made_whole(folder: Path, tmp_path: Path, hub: str) -> None:
    resumed: list[str] = []
    with serving(folder, breaks=WEIGHTS, away=1000) as endpoint:
        broken = fetched(hub, tmp_path, endpoint)
    assert broken.get("key") == "broken_off", broken
    assert "Start again" in broken["en"]
    still = fetched(hub, tmp_path, "http://127.0.0.1:9")
    assert still.get("key") == "unreachable", still
    with serving(folder, resumed=resumed) as endpoint:
        got = fetched(hub, tmp_path, endpoint)
    assert etag(Path(got["folder"]) / WEIGHTS) == etag(PREVIEW / WEIGHTS)
    assert resumed == ([WEIGHTS] if hub == "modelscope" else [])  # the other begins a file anew


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
    order = Order("me/mine", "huggingface")
    _require_room(order, 1.0, tmp_path)
    with pytest.raises(HubError, match=r"needs 1000000\.0 GB .* HF_HOME"):
        _require_room(order, 1e15, tmp_path / "not" / "there")


def test_what_the_disk_refuses_is_not_asked_for_again(tmp_path: Path) -> None:
    order = Order("me/mine", "huggingface")
    full = order.broken(OSError(28, "No space left on device"))
    assert (full.key, "HF_HOME" in str(full)) == ("unwritten", True)
    told = order.broken(OSError("IO error: No space left on device (os error 28)"))  # by Xet
    assert told.key == "unwritten"
    assert order.broken(OSError("the file has the wrong size")).key == "broken_off"


def test_a_download_by_xet_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Xet's client tells what breaks off as a RuntimeError."""
    answers = iter([RuntimeError("Task error: connection reset"), str(tmp_path)])

    def download(name: str, **given: Any) -> Any:
        if given.get("dry_run"):
            return []
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr("demo.hub.PAUSES", [0])
    seen: list[str] = []
    assert fetch("me/mine", "huggingface", lambda status: seen.append(str(status.text))) == tmp_path
    assert any("goes on in 0 s. (Task error" in told for told in seen)


def test_an_app_that_is_asked_to_end_does_not_finish_its_download(
    folder: Path, tmp_path: Path
) -> None:
    with serving(folder, stalls=WEIGHTS) as endpoint:
        environ = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_OFFLINE": "0"}  # fmt: skip
        flags = ["--model", "me/mine"]
        with app_serving(tmp_path / "log", *flags, ready=False, environ=environ) as app:
            app.wait_until("Downloading me/mine")
            app.process.terminate()
            assert app.process.wait(20) == 0
