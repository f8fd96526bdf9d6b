"""Fetching a checkpoint from a hub of our own, which serves it whole, in part or not at all."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from demo.checkpoint import PREVIEW
from demo.hub import HubError, _Order, _require_room
from tests.checkpoint_parts import folder as folder
from tests.serving import ROOT


class Hub(BaseHTTPRequestHandler):
    """As much of the two hubs' file APIs as a download asks for, over the files of a folder."""

    folder: Path
    status = 200
    breaks: str | None = None  # the file in whose middle it hangs up, once
    leaves = False  # and is not there any more
    gone = False
    claimed = 0  # bytes that ModelScope's list says of each file, beside its own

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def _answer(self, body: bool) -> None:
        path, _, query = self.path.partition("?")
        if self.gone:
            self.close_connection = True
        elif self.status != 200:
            code = "GatedRepo" if self.status == 403 else "RepoNotFound"
            self._send(self.status, b"{}", body, {"X-Error-Code": code})
        elif path in ("/api/models/me/mine/revision/main", "/api/models/me/mine"):
            self._send(200, json.dumps({"id": "me/mine", "sha": "a" * 40}).encode(), body)
        elif path.startswith("/api/models/me/mine/tree/"):
            self._send(200, json.dumps(self._tree()).encode(), body)
        elif path == "/api/v1/models/me/mine/repo/files":
            self._send(200, json.dumps({"Code": 200, "Data": self._listing()}).encode(), body)
        else:
            names = parse_qs(query).get("FilePath", [path])
            self._send_file(self.folder / Path(names[0]).name, body)

    def _listing(self) -> dict[str, Any]:
        """ModelScope's form of `_tree`."""
        return {
            "Files": [
                {
                    "Path": file.name,
                    "Name": file.name,
                    "Type": "blob",
                    "Size": file.stat().st_size + self.claimed,
                    "Sha256": sha256(file.read_bytes()).hexdigest(),
                }
                for file in self.folder.iterdir()
            ]
        }

    def _tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": etag(file)}
            for file in self.folder.iterdir()
        ]

    def _send_file(self, file: Path, body: bool) -> None:
        known = {"ETag": f'"{etag(file)}"', "X-Repo-Commit": "a" * 40}
        content, asked = file.read_bytes(), self.headers.get("Range")
        if body and file.name == self.breaks:
            type(self).breaks, type(self).gone = None, self.leaves
            self.close_connection = True
            self._send(200, content, False, known)
            self.wfile.write(content[: len(content) // 2])
        elif body and asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            self._send(206, content[int(first) : int(last or len(content)) + 1], body, known)
        else:
            self._send(200, content, body, known)

    def _send(
        self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


def etag(file: Path) -> str:
    return sha1(file.read_bytes()).hexdigest()


@contextmanager
def serving(
    folder: Path,
    status: int = 200,
    breaks: str | None = None,
    leaves: bool = False,
    claimed: int = 0,
) -> Iterator[str]:
    own = {"folder": folder, "status": status, "breaks": breaks, "leaves": leaves}
    own |= {"claimed": claimed}
    handler = type("Here", (Hub,), own)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


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
