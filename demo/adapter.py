"""A LoRA in a folder: which base it is for, and one model made of the two.

PEFT is imported where an adapter is asked for, and so is torch; a start without one needs neither.
Where the base comes from is `demo.checkpoint`'s matter.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.engine import EngineError
from demo.messages import Sentences

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
KIND = "LORA"
INSTALL = "pip install peft==0.21.2"
INSIDE = "base_model.model."  # before each weight's name in the file
OLD_NAME = "`is_gradient_checkpointing`"  # by which PEFT still asks transformers

SENTENCES: Sentences = {
    "adapter_missing": (
        "The folder {adapter} holds no adapter: {file} is not in it. Give the folder that "
        "`python -m finetune --lora` wrote: OUTPUT/adapter.",
        "文件夹 {adapter} 里没有适配器：缺少 {file}。请给出 `python -m finetune --lora` "
        "写出的文件夹：OUTPUT/adapter。",
    ),
    "adapter_broken": (
        "The adapter in {adapter} cannot be read ({error}). Copy or train it again.",
        "无法读取 {adapter} 中的适配器（{error}）。请重新复制或训练。",
    ),
    "adapter_kind": (
        "The adapter in {adapter} is of the kind {kind}, and {expected} is what can be opened "
        "here. Merge it with the program that made it, and give the result by --model.",
        "{adapter} 中的适配器是 {kind} 类型，这里只能打开 {expected}。请用制作它的程序合并，"
        "再以 --model 给出结果。",
    ),
    "adapter_base": (
        "The adapter in {adapter} was made for {base}, which is not on this machine. Name the "
        "base by --model: a folder or a hub's name.",
        "{adapter} 中的适配器是为 {base} 训练的，但本机没有它。请用 --model 指明基础模型："
        "文件夹或模型名称。",
    ),
    "adapter_misfit": (
        "The adapter in {adapter} does not fit {model}: {part} is not the same in both. It was "
        "made for {base}; leave --model away, or give that.",
        "{adapter} 中的适配器与 {model} 不匹配：两者的 {part} 不同。它是为 {base} 训练的；"
        "请去掉 --model，或给出该模型。",
    ),
    "adapter_misfit_unnamed": (
        "The adapter in {adapter} does not fit {model}: {part} is not the same in both. It does "
        "not say which base it was made for; give that one by --model.",
        "{adapter} 中的适配器与 {model} 不匹配：两者的 {part} 不同。它没有写明是为哪个基础模型"
        "训练的；请用 --model 指明该模型。",
    ),
    "adapter_quantized": (
        "--adapter and --quantize {quantize} do not go together. Make one checkpoint of {adapter} "
        "and its base with `python -m finetune merge`, and quantize that.",
        "--adapter 不能与 --quantize {quantize} 同用。请先用 `python -m finetune merge` 把 "
        "{adapter} 与基础模型合并，再对结果量化。",
    ),
    "adapter_peft": (
        "An adapter such as {adapter} is opened by PEFT, which is not installed: {install}",
        "打开 {adapter} 这样的适配器需要 PEFT，而它没有安装：{install}",
    ),
}


class AdapterError(EngineError):
    """A folder is no LoRA, or not one for this base."""

    sentences = SENTENCES


@dataclass(frozen=True)
class Adapter:
    """A LoRA's folder, and the base that it says it is for ("" where it says none)."""

    folder: Path
    base: str

    @property
    def name(self) -> str:
        """As a person names it; `adapter` alone would be any run's."""
        folder = self.folder.resolve()
        return folder.parent.name if folder.name == "adapter" else folder.name


def read_adapter(folder: Path) -> Adapter:
    """What a folder says of itself.

    Raises:
        AdapterError: it holds no LoRA.
    """
    shown = folder.name or str(folder)
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise AdapterError("adapter_missing", adapter=shown, file=file)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, base = config["peft_type"], config.get("base_model_name_or_path")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        broken = f"{CONFIG}: {type(error).__name__}"
        raise AdapterError("adapter_broken", adapter=shown, error=broken) from None
    if kind != KIND:
        raise AdapterError("adapter_kind", adapter=shown, kind=kind, expected=KIND)
    return Adapter(folder, str(base or ""))


def with_adapter(model: Any, adapter: Adapter, name: str) -> Any:
    """PEFT's model of the base and the adapter; the base's layers are adapted in place.

    Raises:
        AdapterError: PEFT is missing, or the two do not fit together.
    """
    try:
        from peft import PeftModel
    except ImportError:
        error = AdapterError("adapter_peft", adapter=adapter.name, install=INSTALL)
        raise error from None
    shapes = _shapes(adapter)
    if part := _misfit(model, shapes):
        raise _unfit(adapter, name, part)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Found missing adapter keys")
            warnings.filterwarnings("ignore", OLD_NAME, FutureWarning)
            return PeftModel.from_pretrained(model, adapter.folder)
    except (ValueError, RuntimeError, KeyError, TypeError, UserWarning) as error:
        raise _unfit(adapter, name, str(error).splitlines()[0][:120]) from error


def merged(model: Any, adapter: Adapter, name: str) -> Any:
    """One model of the base and the adapter, as plain as the base; raises as `with_adapter`."""
    return with_adapter(model, adapter, name).merge_and_unload()


def _unfit(adapter: Adapter, name: str, part: str) -> AdapterError:
    base = Path(adapter.base).name if Path(adapter.base).is_absolute() else adapter.base
    values = {"adapter": adapter.name, "model": name, "part": part}
    if not base:
        return AdapterError("adapter_misfit_unnamed", **values)
    return AdapterError("adapter_misfit", base=base, **values)


def _shapes(adapter: Adapter) -> dict[str, list[int]]:
    """The sizes of the adapter's weights, by their names in the base."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(adapter.folder / WEIGHTS, framework="pt") as file:
            names = file.keys()
            return {n.removeprefix(INSIDE): file.get_slice(n).get_shape() for n in names}
    except (SafetensorError, OSError) as error:
        broken = f"{WEIGHTS}: {error}"
        raise AdapterError("adapter_broken", adapter=adapter.name, error=broken) from None


def _misfit(model: Any, shapes: dict[str, list[int]]) -> str | None:
    """The first adapted layer that the base lacks or has in another size."""
    sizes = {
        name: (getattr(module, "in_features", None), getattr(module, "out_features", None))
        for name, module in model.named_modules()
    }
    for name, shape in shapes.items():
        layer, found, _ = name.partition(".lora_")
        side = 0 if ".lora_A." in name else 1
        if found and (layer not in sizes or sizes[layer][side] != shape[1 - side]):
            return layer
    return None
