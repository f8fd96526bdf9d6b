"""One fine-tuning run, from its options to what it leaves in the output folder.

    OUTPUT/data        the checked manifests, each window by its name
    OUTPUT/features    what every window is to the encoder's frozen layers
    OUTPUT/run         the Trainer's saves, from which a stopped run goes on
    OUTPUT/adapter     a LoRA, for `python app.py --adapter`; or
    OUTPUT/checkpoint  all weights, for `python app.py --model`

Where `accelerate launch` starts several processes, the first one checks and hears for all.
"""

import argparse
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from transformers import AutoConfig, AutoProcessor, Qwen2AudioForConditionalGeneration
from transformers.trainer_utils import get_last_checkpoint

from demo.checkpoint import PREVIEW
from finetune import adapters, export
from finetune.adapters import Low
from finetune.manifest import Manifest
from finetune.preparing import Reader, checked, hear_all, keep, store_of
from finetune.store import FeatureStore
from finetune.student import Student
from finetune.training import PATIENCE, Recipe, StudentTrainer, evaluate, run, trainer_of

MODEL = "model."  # what `Student` calls the model
FULL_RATE, LORA_RATE = 1e-5, 2e-4
FREE = {"output", "device", "compile", "gradient_checkpointing", "deepspeed", "eval", "save_every"}
"""Options that may differ when a run goes on."""


@dataclass(frozen=True)
class Task:
    """What a run's options mean on this machine."""

    options: argparse.Namespace
    state: PartialState
    source: str  # a folder or a hub's name
    config: Any
    processor: Any
    recipe: Recipe

    @property
    def layers(self) -> int:
        """How many of the encoder's layers, topmost, are trained or adapted."""
        every = self.config.audio_config.encoder_layers
        return every if self.options.lora_encoder else min(self.options.trained_layers, every)


@dataclass(frozen=True)
class Lesson:
    """What a run learns from, and what it is measured on."""

    train: Manifest
    eval: Manifest | None
    store: FeatureStore


def tune(options: argparse.Namespace) -> None:
    """Check, hear, train, measure, save.

    Raises:
        SystemExit: in a sentence, what is wrong with the data or the options.
    """
    task = task_of(options)
    reader = _check(task) if task.state.is_main_process else None
    torch.manual_seed(options.seed)
    model = opened(task)
    lesson = _heard(task, model, reader)
    student = Student(model, ctc_weight=0.0, compiled=options.compile, trained_layers=task.layers)
    adapter = adapters.adapted(model, low_of(options), base_name(options)) if options.lora else None
    output = options.output / "run"
    trainer = trainer_of(student, task.processor, lesson.train, lesson.store, task.recipe, output)
    _tell(task, student, lesson, trainer)
    run(trainer, output)
    save(task, model, adapter, trainer)
    _measure(task, student, lesson, "")


def task_of(options: argparse.Namespace) -> Task:
    cpu = options.device == "cpu" or not torch.cuda.is_available()
    if options.device == "cuda" and cpu:
        raise SystemExit("--device cuda: PyTorch finds no GPU here")
    source = str(PREVIEW) if options.model == "preview" else options.model
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type != "qwen2_audio":
            raise SystemExit(f"--model {options.model} is a {config.model_type}, not a Qwen2-Audio")
        processor = AutoProcessor.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise SystemExit(f"--model {options.model}: {str(error).splitlines()[0]}") from None
    state = PartialState(cpu=cpu, timeout=PATIENCE)
    return Task(options, state, source, config, processor, recipe_of(options, cpu))


def recipe_of(options: argparse.Namespace, cpu: bool) -> Recipe:
    rate = options.learning_rate or (LORA_RATE if options.lora else FULL_RATE)
    return Recipe(
        steps=options.steps,
        epochs=options.epochs,
        batch_tokens=options.batch_tokens,
        accumulate=options.accumulate,
        learning_rate=rate,
        encoder_rate=options.encoder_rate,
        average=0.0,
        save_every=options.save_every,
        save_all=False,
        seed=options.seed,
        bf16=options.bf16,
        checkpointing=options.gradient_checkpointing,
        deepspeed=options.deepspeed,
        device="cpu" if cpu else "cuda",
    )


def low_of(options: argparse.Namespace) -> Low:
    return Low(
        options.lora_rank,
        options.lora_alpha,
        options.lora_dropout,
        options.lora_projector,
        options.lora_encoder,
    )


def base_name(options: argparse.Namespace) -> str:
    """The base as an adapter names it: so that it is found from any folder."""
    folder = Path(options.model)
    return str(folder.resolve()) if folder.is_dir() else options.model


def opened(task: Task) -> Qwen2AudioForConditionalGeneration:
    """The base; weights that are not trained take bfloat16 where that is computed in."""
    options = task.options
    dtype = torch.bfloat16 if options.bf16 and options.lora else torch.float32
    return Qwen2AudioForConditionalGeneration.from_pretrained(task.source, dtype=dtype)


def require_same_run(options: argparse.Namespace) -> None:
    """Refuses to go on with a run that other options began."""
    file = options.output / "settings.json"
    wanted = {k: str(v) for k, v in sorted(vars(options).items()) if k not in FREE}
    wanted["train"] = sha256(options.train.read_bytes()).hexdigest()[:16]
    run_folder = options.output / "run"
    begun = run_folder.is_dir() and get_last_checkpoint(str(run_folder))
    if begun and file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        other = [name for name, value in wanted.items() if before.get(name) != value]
        if other:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in other)
            raise SystemExit(
                f"{options.output.name} holds a run with another {flags}. Give the same to go on "
                "with it, or another --output."
            )
    options.output.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")


def _manifests(task: Task) -> list[Path]:
    return [path for path in (task.options.train, task.options.eval) if path]


def _check(task: Task) -> Reader:
    """Checks the manifests and keeps what they hold for every process."""
    require_same_run(task.options)
    context = task.config.get_text_config().max_position_embeddings
    paths = _manifests(task)
    found, reader = checked(paths, task.processor, context, task.options.split_long)
    keep(task.options.output / "data", ["train.jsonl", "eval.jsonl"][: len(paths)], found)
    return reader


def _heard(task: Task, model: Qwen2AudioForConditionalGeneration, reader: Reader | None) -> Lesson:
    """The conversations and what their windows are to the encoder, once these were heard."""
    features, data = task.options.output / "features", task.options.output / "data"
    names = ["train.jsonl", "eval.jsonl"][: len(_manifests(task))]
    if reader:
        model.model.audio_tower.to(task.state.device)
        manifests = [Manifest(data / name) for name in names]
        store = store_of(features, model, task.layers)
        hear_all(manifests, reader, store, model, task.processor, task.layers)
    task.state.wait_for_everyone()
    train, *rest = (Manifest(data / name) for name in names)
    return Lesson(train, rest[0] if rest else None, store_of(features, model, task.layers))


def _tell(task: Task, student: Student, lesson: Lesson, trainer: StudentTrainer) -> None:
    """What is about to happen, and the loss before it."""
    mine = sum(weight.numel() for weight in student.parameters() if weight.requires_grad)
    every = sum(weight.numel() for weight in student.parameters())
    task.state.print(
        f"{len(lesson.train)} conversations; {trainer.args.max_steps} steps train {mine:,} of "
        f"{every:,} parameters ({mine / every:.2%})",
        flush=True,
    )
    if not task.recipe.deepspeed:  # which has not placed the model yet
        _measure(task, student, lesson, " before training")


def _measure(task: Task, student: Student, lesson: Lesson, when: str) -> None:
    if lesson.eval:
        loss = evaluate(student, task.processor, lesson.eval, lesson.store, task.recipe)
        task.state.print(f"loss on {task.options.eval.name}{when}: {loss:.4f}", flush=True)


def save(
    task: Task,
    model: Qwen2AudioForConditionalGeneration,
    adapter: PeftModel | None,
    trainer: StudentTrainer,
) -> None:
    """Writes what was learned, in the number format of the base."""
    gathered = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not task.state.is_main_process:
        return
    weights: dict[str, Any] = {
        str(name).removeprefix(MODEL): weight for name, weight in gathered.items()
    }
    folder = task.options.output / ("adapter" if adapter else "checkpoint")
    if adapter:
        adapters.save(adapter, weights, folder)
    else:
        export.save(model, task.processor, folder, task.config.dtype or torch.float32, weights)
    print(f"written: {folder}", flush=True)
