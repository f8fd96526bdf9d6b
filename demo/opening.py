"""A folder with a checkpoint -> an engine that was seen to hear.

Every way in which a folder can be no good is one sentence with the remedy: files missing or
broken, another kind of model, not enough memory, a head tied by mistake, a model that does not
hear. Knows torch and transformers; where the folder comes from is `demo.checkpoint`'s matter.
"""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from demo.adapter import merged
from demo.attention import avoid_cudnn
from demo.checkpoint import SHARES, Choice
from demo.decoding import defaults_of
from demo.engine import Budgets, EngineError, EngineInfo
from demo.hub import GB
from demo.loading import Report, Status
from demo.local import LocalEngine
from demo.memory import free_bytes
from demo.messages import Message, Sentences
from demo.packing import keep_few_plans
from demo.quantizing import quantization
from demo.warming import warmed

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
KIND = "qwen2_audio"
WORKING_BYTES = 0.5e9  # for the activations and caches of a short conversation
CONVERSATIONS_SHARE = 0.25  # of the memory that is free once the weights are there

SENTENCES: Sentences = {
    "loading": ("Loading {model} on {device} …", "正在将 {model} 加载到 {device}……"),
    "missing": (
        "The folder {folder} is no complete checkpoint: {files} is missing. Download it again, "
        "or give another folder or name.",
        "文件夹 {folder} 不是完整的模型：缺少 {files}。请重新下载，或给出其他文件夹或名称。",
    ),
    "kind": (
        "{folder} is a model of the kind {kind}; this demo runs Qwen2-Audio ({expected}). "
        "For example: --model Qwen/Qwen2-Audio-7B-Instruct",
        "{folder} 是 {kind} 类型的模型；本演示只运行 Qwen2-Audio（{expected}）。"
        "例如：--model Qwen/Qwen2-Audio-7B-Instruct",
    ),
    "broken": (
        "The checkpoint in {folder} cannot be read ({error}). Download it again, or give another "
        "folder or name.",
        "无法读取 {folder} 中的模型（{error}）。请重新下载，或给出其他文件夹或名称。",
    ),
    "weights_missing": (
        "{count} weights are missing or of another size, {first} among them",
        "有 {count} 个权重缺失或大小不符，其中有 {first}",
    ),
    "memory": (
        "{model} needs {need:.1f} GB in {dtype}, and {device} has {free:.1f} GB free. Close what "
        "uses it, take a smaller number format (--dtype bfloat16), or --model preview.",
        "{model} 以 {dtype} 运行需要 {need:.1f} GB，而 {device} 仅有 {free:.1f} GB 可用。"
        "请关闭占用内存的程序，改用更小的数值格式（--dtype bfloat16），或使用 --model preview。",
    ),
    "tied": (
        "The output head of {model} was tied to its embeddings by mistake, so it would answer "
        "garbage: transformers 5.10.0 to 5.10.3 do that. Install the version in requirements.txt.",
        "{model} 的输出层被错误地与词嵌入绑定，回复会是乱码：transformers 5.10.0 至 5.10.3 有此"
        "问题。请安装 requirements.txt 中的版本。",
    ),
}


class OpeningError(EngineError):
    """A checkpoint's folder does not become an engine."""

    sentences = SENTENCES


def open_engine(folder: Path, choice: Choice, report: Report) -> LocalEngine:
    """The engine of the checkpoint in `folder`, seen to hear.

    Raises:
        OpeningError: why it cannot be, and the remedy.
    """
    model, processor = open_model(folder, choice, report)
    device, name = torch.device(choice.device), choice.model
    info = EngineInfo(
        model=name,
        device=device_name(device),
        dtype=str(pick_dtype(choice, device)).removeprefix("torch."),
        context_tokens=model.config.get_text_config().max_position_embeddings,
        preview=choice.preview,
        defaults=defaults_of(model.generation_config),
    )
    if choice.zerogpu:  # whose processes end with their request
        return LocalEngine(model, processor, info, Budgets(0, 0))
    return warmed(
        model, processor, info, choice, within(choice.budgets, free_bytes(device)), report
    )


def open_model(
    folder: Path, choice: Choice, report: Report
) -> tuple[Qwen2AudioForConditionalGeneration, Any]:
    """The model and the processor of the checkpoint in `folder`, checked but for its hearing.

    Raises:
        OpeningError: why it cannot be, and the remedy.
    """
    avoid_cudnn()
    keep_few_plans()
    device = torch.device(choice.device)
    dtype = pick_dtype(choice, device)
    require_complete(folder, choice.model)
    if not choice.zerogpu:  # which has no card yet whose memory could be asked
        require_memory(folder, choice, device, dtype)
    values = {"model": choice.model, "device": device_name(device)}
    report(Status("load", None, Message(SENTENCES, "loading", **values)))
    model, processor = _read(folder, choice, device, dtype)
    require_own_head(model, choice.model)
    return model, processor


def within(budgets: Budgets, free: float) -> Budgets:
    """`budgets`, the conversations' at most a share of the bytes that are `free`."""
    conversations = min(budgets.conversations, int(free * CONVERSATIONS_SHARE))
    return replace(budgets, conversations=conversations)


def pick_dtype(choice: Choice, device: torch.device) -> torch.dtype:
    """auto: bfloat16 where the card computes in it, else float16; float32 on the CPU."""
    if choice.dtype != "auto":
        return getattr(torch, choice.dtype)
    if choice.zerogpu:
        return torch.bfloat16
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16


def pick_attention(wanted: str, device: torch.device, dtype: torch.dtype) -> str:
    """auto: flash attention where it is installed and can run, else PyTorch's own."""
    if wanted != "auto":
        return wanted
    flash = importlib.util.find_spec("flash_attn") is not None
    fits = device.type == "cuda" and dtype != torch.float32
    return "flash_attention_2" if flash and fits else "sdpa"


def device_name(device: torch.device) -> str:
    """As a person names it: "cuda (NVIDIA H100)", "cpu"."""
    if device.type == "cuda" and torch.cuda.is_available():
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return device.type


def require_complete(folder: Path, model: str) -> None:
    """Raises OpeningError unless `folder` holds all the files of a Qwen2-Audio checkpoint."""
    if not (folder / CONFIG).is_file():
        raise OpeningError("missing", folder=model, files=CONFIG)
    kind = _json(folder / CONFIG, model).get("model_type")
    if kind != KIND:
        raise OpeningError("kind", folder=model, kind=kind, expected=KIND)
    needed = [*_weight_files(folder, model), "tokenizer_config.json"]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise OpeningError("missing", folder=model, files=", ".join(missing))


def require_memory(folder: Path, choice: Choice, device: torch.device, dtype: torch.dtype) -> None:
    """Raises OpeningError where the weights and some room to work in do not fit the device."""
    model = choice.model
    config = _json(folder / CONFIG, model)
    stored = 4 if (config.get("dtype") or config.get("torch_dtype")) == "float32" else 2
    size = sum((folder / name).stat().st_size for name in _weight_files(folder, model))
    need = size * dtype.itemsize / stored * SHARES[choice.quantize] + WORKING_BYTES
    free = free_bytes(device)
    if need > free:
        number = str(dtype).removeprefix("torch.")
        gigabytes = {"need": need / GB, "free": free / GB}
        where = device_name(device)
        raise OpeningError("memory", model=model, dtype=number, device=where, **gigabytes)


def require_own_head(model: Qwen2AudioForConditionalGeneration, name: str) -> None:
    """Raises OpeningError if the output head is the embeddings and the config does not say so."""
    wanted = model.config.tie_word_embeddings or model.config.get_text_config().tie_word_embeddings
    if not wanted and model.lm_head.weight is model.get_input_embeddings().weight:
        raise OpeningError("tied", model=name)


def _read(
    folder: Path, choice: Choice, device: torch.device, dtype: torch.dtype
) -> tuple[Qwen2AudioForConditionalGeneration, Any]:
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        opened: Any = Qwen2AudioForConditionalGeneration.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=pick_attention(choice.attention, device, dtype),
            device_map=None if choice.zerogpu else {"": device},
            quantization_config=quantization(choice.quantize, dtype),
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        raise OpeningError("broken", folder=choice.model, error=_first_line(error)) from error
    model, found = opened
    lost = sorted([*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])])
    if lost:
        error = Message(SENTENCES, "weights_missing", count=len(lost), first=lost[0])
        raise OpeningError("broken", folder=choice.model, error=error)
    if choice.adapter:
        model = merged(model, choice.adapter, choice.model.partition(" + ")[0])
    quantized = choice.quantize != "none"  # whose weights went to the device as they were made
    return (model if quantized else model.to(device)).eval(), processor


def _weight_files(folder: Path, model: str) -> list[str]:
    if not (folder / INDEX).is_file():
        return [WEIGHTS]
    return sorted(set(_json(folder / INDEX, model)["weight_map"].values()))


def _json(file: Path, model: str) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OpeningError("broken", folder=model, error=f"{file.name}: {error}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
