"""Choosing a checkpoint and opening its folder, up to the network."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from demo import checkpoint
from demo.checkpoint import INSTRUCT, PREVIEW, ZEROGPU, Gpu, choose, load
from demo.engine import EngineError
from demo.loading import Status
from demo.opening import pick_attention, pick_dtype, require_memory, require_own_head
from tests.checkpoint_parts import folder as folder
from tests.serving import ROOT

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
    assert "weights are missing or of another size, " in str(error)
    assert "个权重缺失或大小不符" in error.say("zh")


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
