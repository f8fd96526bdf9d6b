"""The running average of the weights while they are trained: smoother than any single step's."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

FILE = "average.safetensors"


class Averaging(TrainerCallback):
    """Keeps an exponential average of a module's trained weights; saved and resumed with it."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.average = {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Follow the weights; quickly at first, while the average is of nothing."""
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        for name, weight in self.weights.items():
            self.average[name].lerp_(weight.detach(), 1 - decay)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        save_file(self.average, self._folder(args, state) / FILE)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step:
            self.average = load_file(self._folder(args, state) / FILE)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average in the weights' place."""
        for name, weight in self.weights.items():
            weight.copy_(self.average[name])

    @staticmethod
    def _folder(args: TrainingArguments, state: TrainerState) -> Path:
        return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
