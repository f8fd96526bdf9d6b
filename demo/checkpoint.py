"""Which checkpoint answers, on which device, and why: the host's wishes -> a `Choice` -> an engine.

It imports torch only where there may be a GPU to ask about, so that a page on a machine without
one is served at once; `load` imports the rest, in the thread that loads.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from demo.adapter import Adapter, AdapterError, read_adapter
from demo.engine import Budgets, Engine, EngineError
from demo.hub import GB, Hub, fetch
from demo.loading import Report
from demo.messages import Message, Sentences

INSTRUCT = "Qwen/Qwen2-Audio-7B-Instruct"
INSTRUCT_BYTES = 20e9  # 16.8 GB of weights in 16 bits, and room to work in
PREVIEW = Path(__file__).parents[1] / "assets" / "preview-model"
COMMAND = "python app.py --model "
HUB_NAME = r"[\w-][\w.-]*/[\w.-]+"
GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # CUDA, WSL, ROCm

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["auto", "sdpa", "eager", "flash_attention_2"]
Quantize = Literal["none", "int8", "int4", "fp8", "nf4"]
Compile = Literal["auto", "on", "off"]
SHARES: dict[Quantize, float] = {"none": 1.0, "int8": 0.6, "fp8": 0.6, "int4": 0.4, "nf4": 0.4}
"""Of the memory that weights of 16 bits take; the encoder and the head keep their 16."""

SENTENCES: Sentences = {
    "instruct": (
        "{model} answers, on {gpu} with {free:.0f} GB free. For the small preview model: {other}",
        "由 {model} 回答，运行在 {gpu}（可用 {free:.0f} GB）。改用小型预览模型：{other}",
    ),
    "preview_no_gpu": (
        "The small preview model answers, because no GPU was found here. "
        "For the full one, on a GPU with 20 GB or more: {other}",
        "由小型预览模型回答，因为这里没有找到 GPU。在 20 GB 以上的 GPU 上使用完整模型：{other}",
    ),
    "preview_cpu": (
        "The small preview model answers, because the CPU was asked for. For the full one: {other}",
        "由小型预览模型回答，因为指定了使用 CPU。使用完整模型：{other}",
    ),
    "preview_small_gpu": (
        "The small preview model answers, because {gpu} has {free:.0f} GB free and the full one "
        "needs {room:.0f} GB. To start it all the same: {other}",
        "由小型预览模型回答，因为 {gpu} 仅有 {free:.0f} GB 可用，而完整模型需要 {room:.0f} GB。"
        "仍要启动完整模型：{other}",
    ),
    "preview_asked": (
        "The small preview model answers, as asked for. For the full one: {other}",
        "按要求由小型预览模型回答。使用完整模型：{other}",
    ),
    "model_asked": (
        "{model} answers, as asked for. For the small preview model: {other}",
        "按要求由 {model} 回答。改用小型预览模型：{other}",
    ),
    "adapter_asked": (
        "{model} answers with the adapter {adapter}, as asked for. "
        "For the small preview model alone: {other}",
        "按要求由 {model} 加上适配器 {adapter} 回答。只用小型预览模型：{other}",
    ),
    "no_such_model": (
        "{value} is neither a folder here nor a model's name; a name looks like "
        "Qwen/Qwen2-Audio-7B-Instruct. The small model that comes with the demo is called preview.",
        "{value} 既不是本机的文件夹，也不是模型名称；名称的形式如 Qwen/Qwen2-Audio-7B-Instruct。"
        "随演示附带的小模型名为 preview。",
    ),
    "no_device": (
        "{device} was asked for, but PyTorch finds no such device here. Leave --device away, or "
        "install the PyTorch build for it.",
        "指定了 {device}，但 PyTorch 找不到该设备。请去掉 --device，或安装相应的 PyTorch 版本。",
    ),
}


class CheckpointError(EngineError):
    """What the host asked for cannot be."""

    sentences = SENTENCES


@dataclass(frozen=True)
class Gpu:
    """A device that is not the CPU, and the memory free on it."""

    device: str  # as torch names it: "cuda:0", "mps"
    name: str
    free_bytes: float


ZEROGPU = Gpu("cuda", "ZeroGPU", 70e9)  # what a request gets there


class Way(TypedDict, total=False):
    """How a checkpoint is run, where its `Choice`'s defaults are not wanted."""

    dtype: Dtype
    attention: Attention
    quantize: Quantize
    compile: Compile
    budgets: Budgets


@dataclass(frozen=True)
class Choice:
    """Which checkpoint runs where; `notice` says it, with the command for the other one."""

    model: str  # as a person names it
    source: Path | str  # its folder, or its name on the hub
    hub: Hub
    device: str  # "cpu", "cuda:0", "mps"
    notice: Message
    zerogpu: bool = False  # there is no GPU but inside a request
    dtype: Dtype = "auto"
    attention: Attention = "auto"
    quantize: Quantize = "none"
    compile: Compile = "auto"
    budgets: Budgets = Budgets()
    adapter: Adapter | None = None  # a LoRA over the checkpoint

    @property
    def preview(self) -> bool:
        return self.source == PREVIEW


def choose(
    model: str = "auto",
    hub: Hub = "huggingface",
    device: str = "auto",
    adapter: Path | None = None,
    **way: Unpack[Way],
) -> Choice:
    """The checkpoint and the device for a host's settings.

    Raises:
        CheckpointError: no such model or device.
        AdapterError: `adapter` is no LoRA, its base is not here, or weights are to be quantized.
    """
    gpu = None if device == "cpu" else find_gpu()
    if device not in ("auto", "cpu") and (gpu is None or not gpu.device.startswith(device)):
        raise CheckpointError("no_device", device=device)
    where = gpu.device if gpu else "cpu"
    room = INSTRUCT_BYTES * SHARES[way.get("quantize", "none")]
    if adapter is None:
        named, source, notice = _source(model, device, gpu, room)
        return Choice(named, source, hub, where, notice, gpu == ZEROGPU, **way)
    opened = read_adapter(adapter)
    if (quantize := way.get("quantize", "none")) != "none":
        raise AdapterError("adapter_quantized", adapter=opened.name, quantize=quantize)
    base, source, _ = _source(_base(model, opened), device, gpu, room)
    values = {"model": base, "adapter": opened.name, "other": COMMAND + "preview"}
    notice = Message(SENTENCES, "adapter_asked", **values)
    named = f"{base} + {opened.name}"
    return Choice(named, source, hub, where, notice, gpu == ZEROGPU, adapter=opened, **way)


def load(choice: Choice, report: Report) -> Engine:
    """The engine for `choice`: downloaded if need be, opened, checked and warmed up.

    Raises:
        EngineError: in one sentence, why it cannot be and what to do.
    """
    name = choice.source
    folder = name if isinstance(name, Path) else fetch(name, choice.hub, report)
    if choice.zerogpu:
        import spaces  # noqa: F401  # pyright: ignore[reportMissingImports]  (before torch)
    from demo.opening import open_engine  # brings torch and transformers

    engine = open_engine(folder, choice, report)
    if not choice.zerogpu:
        return engine
    from demo.zerogpu import ForkingEngine

    return ForkingEngine(engine)


def _base(model: str, adapter: Adapter) -> str:
    """The checkpoint under an adapter: the one that is asked for, else the adapter's own."""
    if model != "auto":
        return model
    base = adapter.base
    if base and (base == "preview" or Path(base).is_dir() or re.fullmatch(HUB_NAME, base)):
        return base
    raise AdapterError("adapter_base", adapter=adapter.name, base=Path(base).name or "?")


def _source(
    model: str, device: str, gpu: Gpu | None, room: float
) -> tuple[str, Path | str, Message]:
    if model == "auto":
        return _automatic(device, gpu, room)
    if model == "preview":
        notice = Message(SENTENCES, "preview_asked", other=COMMAND + INSTRUCT)
        return "preview", PREVIEW, notice
    folder = Path(model).expanduser()
    other = COMMAND + "preview"
    if folder.is_dir():
        named = folder.resolve().name
        return named, folder, Message(SENTENCES, "model_asked", model=named, other=other)
    if re.fullmatch(HUB_NAME, model):
        return model, model, Message(SENTENCES, "model_asked", model=model, other=other)
    raise CheckpointError("no_such_model", value=folder.name or model)


def _automatic(device: str, gpu: Gpu | None, room: float) -> tuple[str, Path | str, Message]:
    """The full model where a GPU has the memory for it, else the preview."""
    if gpu is None:
        why = "preview_cpu" if device == "cpu" else "preview_no_gpu"
        return "preview", PREVIEW, Message(SENTENCES, why, other=COMMAND + INSTRUCT)
    values = {"gpu": gpu.name, "free": gpu.free_bytes / GB, "room": room / GB}
    if gpu.free_bytes >= room:
        other = COMMAND + "preview"
        notice = Message(SENTENCES, "instruct", model=INSTRUCT, other=other, **values)
        return INSTRUCT, INSTRUCT, notice
    notice = Message(SENTENCES, "preview_small_gpu", other=COMMAND + INSTRUCT, **values)
    return "preview", PREVIEW, notice


def on_zerogpu(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a Hugging Face Space that gets its GPU for each request anew."""
    return environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def find_gpu() -> Gpu | None:
    """The GPU with the most free memory; torch is imported only where there may be one."""
    if on_zerogpu():
        return ZEROGPU
    if sys.platform == "linux" and not any(Path(file).exists() for file in GPU_FILES):
        return None
    import torch

    if torch.cuda.is_available():
        return max(map(_cuda, range(torch.cuda.device_count())), key=lambda gpu: gpu.free_bytes)
    if torch.backends.mps.is_available():
        return Gpu("mps", "Apple GPU", torch.mps.recommended_max_memory())
    return None


def _cuda(index: int) -> Gpu:
    import torch

    name = torch.cuda.get_device_name(index)
    return Gpu(f"cuda:{index}", name, torch.cuda.mem_get_info(index)[0])
