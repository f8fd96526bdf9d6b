"""How `python -m finetune` is started: options that are refused, two processes, DeepSpeed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from transformers import TrainingArguments

from finetune.__main__ import main
from finetune.training import Recipe, arguments
from tests.tuning_parts import LORA, adapter, near, words
from tests.tuning_parts import base as base
from tests.tuning_parts import manifest as manifest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DEEPSPEED = ROOT / "finetune" / "deepspeed"


def test_a_run_does_not_go_on_with_other_settings(base: Path, manifest: Path, tmp_path: Path):
    main(words(base, manifest, tmp_path / "out", *LORA))
    with pytest.raises(SystemExit, match=r"out holds a run with another --lora-rank\."):
        main(words(base, manifest, tmp_path / "out", *LORA, "--lora-rank", "4"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--lora-encoder"], "go with --lora"),
        (["--lora", "--trained-layers", "1"], "take --lora-encoder"),
        (["--epochs", "0"], "--epochs must be 1 or more"),
        (["--steps", "0"], "--steps must be 1 or more"),
        (["--eval", "nowhere.jsonl"], "nowhere.jsonl is not there"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    base: Path, manifest: Path, tmp_path: Path, more: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    with pytest.raises(SystemExit):
        main(words(base, manifest, tmp_path / "out", *more))
    assert said in capsys.readouterr().err


@pytest.mark.skipif(find_spec("deepspeed") is not None, reason="deepspeed is installed")
def test_deepspeed_is_asked_for_by_name_where_it_is_missing(
    base: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = words(base, manifest, tmp_path / "out", "--deepspeed", str(DEEPSPEED / "zero3.json"))
    with pytest.raises(SystemExit):
        main(given)
    assert "pip install deepspeed" in capsys.readouterr().err


def test_a_model_that_is_none_is_refused(manifest: Path, tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(SystemExit, match="llama, not a Qwen2-Audio"):
        main(words(tmp_path, manifest, tmp_path / "out"))


def test_two_processes_learn_what_one_learns_from_the_same_batches(
    base: Path, manifest: Path, tmp_path: Path
):
    """Each step of two processes is a step of one that takes two batches.

    `--multi_gpu` is accelerate's word for several processes; with `--cpu` it would start one.
    """
    main(words(base, manifest, tmp_path / "one", *LORA, "--accumulate", "2"))
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    how = f"{launch} --mixed_precision no --dynamo_backend no --num_cpu_threads_per_process 1"
    given = words(base, manifest, tmp_path / "two", *LORA, "--eval", str(manifest))
    done = subprocess.run(
        [sys.executable, "-m", *how.split(), "--main_process_port", "0", "-m", "finetune", *given],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loss on train.jsonl: ") == 1
    assert near(adapter(tmp_path / "two"), adapter(tmp_path / "one"), 1e-4)


@pytest.mark.parametrize("stage", [2, 3])
def test_the_deepspeed_configurations_load(stage: int, tmp_path: Path):
    file = DEEPSPEED / f"zero{stage}.json"
    assert json.loads(file.read_text())["zero_optimization"]["stage"] == stage
    pytest.importorskip("deepspeed", reason="deepspeed is not installed")
    found: TrainingArguments = arguments(Recipe(deepspeed=file, accumulate=2), tmp_path, 10)
    config = found.hf_deepspeed_config
    assert config is not None
    assert config.is_zero3() == (stage == 3)
    config.trainer_config_finalize(found, None, 10)
    assert config.get_value("gradient_accumulation_steps") == 2
    assert config.get_value("bf16.enabled") is True
    assert "auto" not in json.dumps(config.config)
