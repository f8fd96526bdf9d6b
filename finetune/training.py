"""The training loop: Transformers' `Trainer` over kept features, with the recipe of this project.

The preview and the real model go through the same code: what differs is the base checkpoint,
the manifest and the numbers of the recipe.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Qwen2AudioProcessor, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from finetune.averaging import Averaging
from finetune.collating import FeatureCollator, TokenBatches, guessed_tokens
from finetune.manifest import Manifest
from finetune.rendering import Renderer
from finetune.store import FeatureStore
from finetune.student import Batch, Student


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run; `steps` None means each conversation once."""

    steps: int | None = None
    batch_tokens: int = 3200
    learning_rate: float = 1.2e-3
    encoder_rate: float = 0.15  # of the learning rate, for the encoder's layers that are trained
    schedule: str = "cosine"
    warmup_steps: int = 150
    weight_decay: float = 0.05
    average: float = 0.995
    save_every: int = 250
    log_every: int = 25
    seed: int = 1
    bf16: bool = True
    device: str = "cpu"


class StudentTrainer(Trainer):
    """Trainer that takes its batches by their tokens and reports every loss of the student."""

    def __init__(self, batches: TokenBatches, encoder_rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batches, self.encoder_rate = batches, encoder_rate
        self.sums: dict[str, float] = {}

    def get_train_dataloader(self) -> DataLoader:
        assert self.train_dataset is not None
        loader = DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Transformers' own, with the encoder's weights in groups of their own rate."""
        optimizer = super().create_optimizer(model)
        assert self.model is not None
        named = self.model.named_parameters()
        ears = {id(weight) for name, weight in named if "audio_tower." in name}
        for group in list(optimizer.param_groups):
            mine = [weight for weight in group["params"] if id(weight) in ears]
            if mine:
                group["params"] = [weight for weight in group["params"] if id(weight) not in ears]
                rate = group["lr"] * self.encoder_rate
                optimizer.add_param_group({**group, "params": mine, "lr": rate})
        return optimizer

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        outputs = model(**inputs)
        for name, value in outputs.items():
            if name != "loss":
                self.sums[name] = self.sums.get(name, 0.0) + float(value)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        steps = self.args.logging_steps
        super().log({**logs, **{k: round(v / steps, 4) for k, v in self.sums.items()}}, start_time)
        self.sums = {}


def arguments(recipe: Recipe, output: Path, steps: int) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=1,  # batches come ready from TokenBatches
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=min(recipe.warmup_steps, steps // 10),
        weight_decay=recipe.weight_decay,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        bf16=recipe.bf16,
        use_cpu=recipe.device == "cpu",
        seed=recipe.seed,
        logging_steps=recipe.log_every,
        save_steps=recipe.save_every,
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


def train(
    student: Student,
    processor: Qwen2AudioProcessor,
    manifest: Manifest,
    store: FeatureStore,
    recipe: Recipe,
    output: Path,
) -> Student:
    """Train until the recipe's end, going on from the last checkpoint in `output` if there is one.

    The student returns with the average of its last weights.
    """
    lengths = [guessed_tokens(manifest[index], store) for index in range(len(manifest))]
    batches = TokenBatches(lengths, recipe.batch_tokens, recipe.seed)
    steps = recipe.steps or len(batches)
    averaging = Averaging(student, recipe.average)
    trainer = StudentTrainer(
        batches,
        recipe.encoder_rate,
        model=student,
        args=arguments(recipe, output, steps),
        train_dataset=manifest,
        data_collator=FeatureCollator(Renderer(processor), store),
        callbacks=[averaging],
    )
    last = get_last_checkpoint(str(output)) if output.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    _write_log(trainer, output)
    averaging.apply()
    return student


@torch.inference_mode()
def evaluate(
    student: Student,
    processor: Qwen2AudioProcessor,
    manifest: Manifest,
    store: FeatureStore,
    recipe: Recipe,
) -> float:
    """The mean loss of the batches of a manifest, in the weights' own precision."""
    student.eval()
    collate = FeatureCollator(Renderer(processor), store)
    lengths = [guessed_tokens(manifest[index], store) for index in range(len(manifest))]
    batches = TokenBatches(lengths, recipe.batch_tokens, recipe.seed)
    device = next(student.parameters()).device
    losses = []
    for places in batches:
        batch = collate([manifest[place] for place in places])
        inputs = {name: tensor.to(device) for name, tensor in batch.items()}
        losses.append(float(student(**inputs)["reply_loss"]))
    return sum(losses) / len(losses)


def _write_log(trainer: Trainer, output: Path) -> None:
    lines = [json.dumps(entry) for entry in trainer.state.log_history]
    (output / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
