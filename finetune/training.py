"""The training loop: Transformers' `Trainer` over kept features, with the recipe of this project.

The preview and the real model go through the same code: what differs is the base checkpoint,
the manifest and the numbers of the recipe. Several processes share the batches.
"""

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Qwen2AudioProcessor, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from demo.attention import avoid_cudnn
from finetune.averaging import Averaging
from finetune.collating import FeatureCollator, TokenBatches, guessed_tokens
from finetune.manifest import Manifest
from finetune.rendering import IGNORED, Renderer
from finetune.store import FeatureStore
from finetune.student import Batch, Student

HEADS = ("ctc.", "traits.")  # the names of the throw-away heads' weights begin so
HEADS_RATE = 10.0  # of the learning rate: they are small, and teach nothing until they know
PATIENCE = timedelta(days=1)  # of processes that wait while one hears the clips for all


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run; `steps` None means each conversation once an epoch."""

    steps: int | None = None
    epochs: int = 1
    batch_tokens: int = 3200
    accumulate: int = 1  # batches a step, on each process
    learning_rate: float = 1.2e-3
    encoder_rate: float = 0.15  # of the learning rate, for the encoder's layers that are trained
    schedule: str = "cosine"
    warmup_steps: int = 150
    weight_decay: float = 0.05
    average: float = 0.995  # 0: the last weights are the result, not their average
    save_every: int = 250
    save_all: bool = True  # False: what is not trained comes from the base when a run goes on
    log_every: int = 25
    seed: int = 1
    bf16: bool = True
    checkpointing: bool = False  # of activations: less memory, and a third more time
    deepspeed: Path | None = None
    device: str = "cpu"
    loaders: int = 0  # processes that make batches; 0: the one that trains


class StudentTrainer(Trainer):
    """Trainer that takes its batches by their tokens and reports every loss of the student."""

    def __init__(
        self, batches: TokenBatches, encoder_rate: float, save_all: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.batches, self.encoder_rate, self.save_all = batches, encoder_rate, save_all
        self.sums: dict[str, torch.Tensor] = {}

    def get_train_dataloader(self) -> DataLoader:
        assert self.train_dataset is not None
        loader = DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Transformers' own, with the encoder's weights and the heads in groups of their rates."""
        optimizer = super().create_optimizer(model)
        assert self.model is not None
        named = list(self.model.named_parameters())
        ears = {id(weight) for name, weight in named if "audio_tower." in name}
        heads = {id(weight) for name, weight in named if name.startswith(HEADS)}
        for own, share in ((ears, self.encoder_rate), (heads, HEADS_RATE)):
            for group in list(optimizer.param_groups):
                mine = [weight for weight in group["params"] if id(weight) in own]
                if mine:
                    group["params"] = [one for one in group["params"] if id(one) not in own]
                    rate = group["lr"] * share
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
                self.sums[name] = value.detach() + self.sums.get(name, 0.0)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        batches = self.args.logging_steps * self.args.gradient_accumulation_steps
        super().log(
            {**logs, **{k: round(float(v) / batches, 4) for k, v in self.sums.items()}}, start_time
        )
        self.sums = {}

    def trained(self) -> set[str]:
        """The names of the weights that are trained."""
        assert self.model is not None
        return {name for name, weight in self.model.named_parameters() if weight.requires_grad}

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        assert self.model is not None
        weights = self.model.state_dict() if state_dict is None else state_dict
        wanted = set(weights) if self.save_all else self.trained()
        super()._save(output_dir, {name: weights[name] for name in weights if name in wanted})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """What a save lacks is the base's, unless it is trained here."""
        lost = self.trained() & set(load_result.missing_keys)
        if strange := sorted([*lost, *load_result.unexpected_keys]):
            raise SystemExit(f"the saved run is of another model or adapter: see {strange[0]}")


def bf16_pays(device: str) -> bool:
    """Whether a device computes in bfloat16 itself; a CPU that emulates it is six times slower."""
    return device == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def arguments(recipe: Recipe, output: Path, steps: int) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=1,  # batches come ready from TokenBatches
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=min(recipe.warmup_steps, steps // 10),
        weight_decay=recipe.weight_decay,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        bf16=recipe.bf16,
        activation_checkpointing=recipe.checkpointing,
        deepspeed=str(recipe.deepspeed) if recipe.deepspeed else None,
        ddp_timeout=int(PATIENCE.total_seconds()),
        use_cpu=recipe.device == "cpu",
        seed=recipe.seed,
        logging_steps=recipe.log_every,
        save_steps=recipe.save_every,
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        dataloader_num_workers=recipe.loaders,
    )


def steps_of(recipe: Recipe, batches: int) -> int:
    """How many steps a run has, its batches shared by the processes of its launch."""
    shared = int(os.environ.get("WORLD_SIZE", "1")) * recipe.accumulate
    return recipe.steps or -(-batches // shared)


def trainer_of(
    student: Student,
    processor: Qwen2AudioProcessor,
    manifest: Manifest,
    store: FeatureStore,
    recipe: Recipe,
    output: Path,
) -> StudentTrainer:
    avoid_cudnn()
    lengths = [guessed_tokens(manifest[index], store) for index in range(len(manifest))]
    batches = TokenBatches(lengths, recipe.batch_tokens, recipe.seed, epochs=recipe.epochs)
    return StudentTrainer(
        batches,
        recipe.encoder_rate,
        recipe.save_all,
        model=student,
        args=arguments(recipe, output, steps_of(recipe, len(batches))),
        train_dataset=manifest,
        data_collator=FeatureCollator(Renderer(processor), store),
        callbacks=[Averaging(student, recipe.average)] if recipe.average else [],
    )


def run(trainer: StudentTrainer, output: Path) -> None:
    """Train until the recipe's end, going on from the last checkpoint in `output` if there is one.

    The student is left with its last weights or, where they are asked for, their average.
    """
    last = get_last_checkpoint(str(output)) if output.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    if trainer.is_world_process_zero():
        _write_log(trainer, output)
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, Averaging):
            callback.apply()


def train(
    student: Student,
    processor: Qwen2AudioProcessor,
    manifest: Manifest,
    store: FeatureStore,
    recipe: Recipe,
    output: Path,
) -> Student:
    """`run` for a student; returns it."""
    run(trainer_of(student, processor, manifest, store, recipe, output), output)
    return student


@torch.inference_mode()
def evaluate(
    student: Student,
    processor: Qwen2AudioProcessor,
    manifest: Manifest,
    store: FeatureStore,
    recipe: Recipe,
) -> float:
    """The mean loss of the assistant's tokens, in the weights' own precision."""
    student.eval()
    collate = FeatureCollator(Renderer(processor), store)
    lengths = [guessed_tokens(manifest[index], store) for index in range(len(manifest))]
    device = next(student.parameters()).device
    total, count = 0.0, 0
    for places in TokenBatches(lengths, recipe.batch_tokens, recipe.seed):
        batch = collate([manifest[place] for place in places])
        said = int((batch["labels"][:, 1:] != IGNORED).sum())
        inputs = {name: tensor.to(device) for name, tensor in batch.items()}
        total, count = total + said * float(student(**inputs)["reply_loss"]), count + said
    return total / count


def _write_log(trainer: Trainer, output: Path) -> None:
    lines = [json.dumps(entry) for entry in trainer.state.log_history]
    (output / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
