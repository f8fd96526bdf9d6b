"""Choosing, fetching and opening a checkpoint, up to the network and with a hub of our own."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import torch

from demo import checkpoint
from demo.checkpoint import INSTRUCT, PREVIEW, ZEROGPU, Gpu, choose, load
from demo.engine import EngineError
from demo.hub import HubError, _Order, _require_room
from demo.loading import Status
from demo.opening import pick_attention, pick_dtype, require_memory, require_own_head

ROOT = Path(__file__).parents[1]
H100 = Gpu("cuda:0", "NVIDIA H100", 79e9)
SMALL = Gpu("cuda:0", "NVIDIA T4", 15e9)


def silent(status: Status) -> None:
    """A report that nobody reads."""


def with_gpu(monkeypatch: pytest.MonkeyPatch, gpu: Gpu | None) -> None:
    monkeypatch.setattr(checkpoint, "find_gpu", lambda: gpu)


@pytest.mark.parametrize(
    ("gpu", "device", "model", "why"),
    [
        (None, "auto", "preview", "no GPU was found here"),
        (None, "cpu", "preview", "the CPU was asked for"),
        (H100, "cpu", "preview", "the CPU was asked for"),
        (SMALL, "auto", "preview", "NVIDIA T4 has 15 GB free and the full one needs 20 GB"),
        (H100, "auto", INSTRUCT, "NVIDIA H100 with 79 GB free"),
        (H100, "cuda", INSTRUCT, "NVIDIA H100 with 79 GB free"),
        (ZEROGPU, "auto", INSTRUCT, "ZeroGPU"),
    ],
)
def test_auto_takes_the_full_model_where_a_gpu_has_the_memory_and_says_why(
    monkeypatch: pytest.MonkeyPatch, gpu: Gpu | None, device: str, model: str, why: str
) -> None:
    with_gpu(monkeypatch, gpu)
    choice = choose("auto", device=device)
    other = INSTRUCT if model == "preview" else "preview"
    assert choice.model == model
    assert choice.preview is (model == "preview")
    assert why in str(choice.notice)
    for language in ("en", "zh"):
        assert choice.notice.say(language).endswith(f"python app.py --model {other}")
    assert choice.device == (gpu.device if gpu and device != "cpu" else "cpu")
    assert choice.zerogpu is (gpu is ZEROGPU)


def test_this_machine_gets_a_choice_that_it_can_run() -> None:
    choice = choose("auto", device="cpu")
    assert choice.source == PREVIEW


def test_a_model_may_be_named_or_lie_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose("preview", device="cpu").source == PREVIEW
    assert choose("me/my.model-2", device="cpu").source == "me/my.model-2"
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    for given in ("mine", "./mine", str(tmp_path / "mine")):
        choice = choose(given, device="cpu")
        assert (choice.model, choice.preview) == ("mine", False)
        assert "mine" in str(choice.notice)


@pytest.mark.parametrize("model", ["nix", "./nix", "/no/such/folder", "a/b/c", "../x y", "~/nix"])
def test_what_is_neither_is_refused_in_a_sentence(model: str) -> None:
    with pytest.raises(EngineError) as caught:
        choose(model, device="cpu")
    assert caught.value.key == "no_such_model"
    assert "/no/such" not in str(caught.value)


@pytest.mark.parametrize(("device", "gpu"), [("cuda", None), ("mps", H100), ("mps", None)])
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, gpu: Gpu | None
) -> None:
    with_gpu(monkeypatch, gpu)
    with pytest.raises(EngineError, match=f"{device} was asked for"):
        choose("preview", device=device)


def test_choosing_does_not_wait_for_torch_where_there_is_no_gpu() -> None:
    code = (
        "import sys; from demo.checkpoint import choose; import demo.loading, demo.conversation;"
        "choose('auto', device='cpu');"
        "print([m for m in ('torch', 'transformers', 'modelscope', 'librosa') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_preview_is_found_from_any_folder(tmp_path: Path) -> None:
    code = "from demo.checkpoint import choose; print(choose('preview', device='cpu').source)"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()) == PREVIEW, done.stderr


# --- a folder -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the preview checkpoint, to be spoilt."""
    return Path(shutil.copytree(PREVIEW, tmp_path / "mine"))


def opened(folder: Path) -> None:
    load(choose(str(folder), device="cpu"), silent).close()


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_folder_is_opened_with_its_progress_told(folder: Path) -> None:
    seen: list[Status] = []
    engine = load(choose(str(folder), device="cpu"), seen.append)
    with closing(engine):
        assert engine.info.model == "mine"
        assert (engine.info.device, engine.info.dtype) == ("cpu", "float32")
        assert not engine.info.preview
    assert [status.phase for status in seen] == ["load", "warmup"]


def refusal(folder: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        opened(folder)
    assert "mine" in str(caught.value)
    assert str(folder) not in str(caught.value)
    assert caught.value.say("zh") != str(caught.value)
    return caught.value


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    error = refusal(folder)
    assert (error.key, file in str(error)) == ("missing", True)


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    assert "model-2.safetensors is missing" in str(refusal(folder))


def test_another_kind_of_model_is_named(folder: Path) -> None:
    edit(folder / "config.json", model_type="llama")
    error = refusal(folder)
    assert error.key == "kind"
    assert "llama" in str(error)


def test_a_download_that_broke_off_is_told(folder: Path) -> None:
    weights = folder / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    assert refusal(folder).key == "broken"


def test_a_config_that_is_no_json_is_told(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')
    assert refusal(folder).key == "broken"


def test_weights_of_another_shape_are_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] += 1
    config["text_config"].pop("layer_types", None)
    (folder / "config.json").write_text(json.dumps(config))
    error = refusal(folder)
    assert error.key == "broken"
    assert "weights" in str(error)


def test_a_model_that_does_not_hear_is_told(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    deaf = {
        name: torch.zeros_like(value) if "multi_modal_projector" in name else value
        for name, value in weights.items()
    }
    save_file(deaf, folder / "model.safetensors", metadata={"format": "pt"})
    assert refusal(folder).key == "deaf"


def test_a_head_tied_by_mistake_is_told() -> None:
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    config: Any = Qwen2AudioConfig.from_pretrained(PREVIEW)
    config.text_config.num_hidden_layers = config.audio_config.encoder_layers = 1
    model: Any = Qwen2AudioForConditionalGeneration(config)
    require_own_head(model, "mine")
    model.lm_head.weight = model.get_input_embeddings().weight
    with pytest.raises(EngineError, match="tied"):
        require_own_head(model, "mine")


def test_too_little_memory_is_told_before_the_weights_are_read(folder: Path) -> None:
    cpu, choice = torch.device("cpu"), choose(str(folder), device="cpu")
    require_memory(folder, choice, cpu, torch.float32)
    os.truncate(folder / "model.safetensors", 10**13)  # sparse: a size, no bytes
    with pytest.raises(EngineError, match=r"20000\.5 GB in float32, and cpu has \d+\.\d GB free"):
        require_memory(folder, choice, cpu, torch.float32)
    with pytest.raises(EngineError, match=r"8000\.5 GB in float32"):
        require_memory(folder, replace(choice, quantize="nf4"), cpu, torch.float32)


def test_attention_that_is_not_installed_is_told(folder: Path) -> None:
    with pytest.raises(EngineError, match="mine"):
        load(choose(str(folder), device="cpu", attention="flash_attention_2"), silent)


def test_number_formats_and_attention_follow_the_device() -> None:
    cpu = torch.device("cpu")
    assert pick_dtype(choose("preview", device="cpu"), cpu) == torch.float32
    wanted = choose("preview", device="cpu", dtype="bfloat16")
    assert pick_dtype(wanted, cpu) == torch.bfloat16
    assert pick_attention("auto", cpu, torch.float32) == "sdpa"
    assert pick_attention("eager", cpu, torch.float32) == "eager"


# --- a hub ----------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """As much of the two hubs' file APIs as a download asks for, over the files of a folder."""

    folder: Path
    status = 200
    breaks: str | None = None  # the file in whose middle it hangs up, once
    leaves = False  # and is not there any more
    gone = False

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
                    "Size": file.stat().st_size,
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
    folder: Path, status: int = 200, breaks: str | None = None, leaves: bool = False
) -> Iterator[str]:
    own = {"folder": folder, "status": status, "breaks": breaks, "leaves": leaves}
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


def test_a_full_disk_is_told_before_the_download(tmp_path: Path) -> None:
    order = _Order("me/mine", "huggingface")
    _require_room(order, 1.0, tmp_path)
    with pytest.raises(HubError, match=r"needs 1000000\.0 GB .* HF_HOME"):
        _require_room(order, 1e15, tmp_path / "not" / "there")
