"""LoRA by PEFT: which parts of a Qwen2-Audio get low-rank adapters, and what is written of them.

The layers are adapted in place, so that what holds the model already (`finetune.student`) trains
them with no further word. Reading an adapter is `demo.adapter`'s.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import Qwen2AudioForConditionalGeneration

from demo.adapter import INSIDE, OLD_NAME

NAME = "default"
DECODER = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
PROJECTOR = r".*multi_modal_projector\.linear"
ENCODER = r".*audio_tower\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|fc[12])"


@dataclass(frozen=True)
class Low:
    """The size of the adapters, and where they are beside the decoder's attention and MLP."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    projector: bool = False
    encoder: bool = False

    @property
    def targets(self) -> str:
        """The adapted layers' names, as a regular expression."""
        more = [PROJECTOR] * self.projector + [ENCODER] * self.encoder
        return "|".join(f"({one})" for one in (DECODER, *more))


def adapted(model: Qwen2AudioForConditionalGeneration, low: Low, base: str) -> PeftModel:
    """The model with new adapters, alone to be trained; `base` is the name it is found by."""
    config = LoraConfig(
        r=low.rank,
        lora_alpha=low.alpha,
        lora_dropout=low.dropout,
        target_modules=low.targets,
        task_type=TaskType.CAUSAL_LM,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", OLD_NAME, FutureWarning)
        found = get_peft_model(model, config)
    assert isinstance(found, PeftModel)
    found.peft_config[NAME].base_model_name_or_path = base
    return found


def save(adapter: PeftModel, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write the adapter alone; `weights` are the whole model's, by their names in it."""
    adapter.save_pretrained(
        str(folder),
        state_dict={INSIDE + name: weight for name, weight in weights.items()},
        save_embedding_layers=False,  # they are not adapted; "auto" would ask the hub
    )
