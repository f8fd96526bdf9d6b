"""A model that was read -> an engine that was seen to hear, with its first costs behind it.

What a first reply would pay for is paid here: kernels, a compiled step, the system prompt.
"""

from typing import Any

import numpy as np
import torch
from transformers import Qwen2AudioForConditionalGeneration
from transformers.generation.configuration_utils import CompileConfig

from demo.checkpoint import Choice
from demo.engine import Budgets, EngineError, EngineInfo, Options
from demo.loading import Report, Status
from demo.local import LocalEngine
from demo.messages import Message, Sentences
from demo.packing import quicken

TEST_SECONDS = 1.0
WARMUP_TOKENS = 4  # the first ones are captured, the next show that the capture runs
HELLO = [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}]
PLAIN = [{"role": "system", "content": "You are a helpful assistant."}]  # the template's own

SENTENCES: Sentences = {
    "testing": ("Testing whether {model} hears …", "正在检查 {model} 能否听到声音……"),
    "compiling": (
        "Compiling the step of {model}; this takes a minute or two …",
        "正在编译 {model}，需要一两分钟……",
    ),
    "uncompiled": (
        "The step of {model} could not be compiled here; it runs as it is.",
        "无法在此编译 {model}，将以未编译方式运行。",
    ),
    "deaf": (
        "{model} does not hear: two different sounds give it the same answer. Install the "
        "versions in requirements.txt.",
        "{model} 听不到声音：两段不同的声音得到相同的结果。请安装 requirements.txt 中的版本。",
    ),
}


class WarmingError(EngineError):
    """A model that was read does not work."""

    sentences = SENTENCES


def warmed(
    model: Any, processor: Any, info: EngineInfo, choice: Choice, budgets: Budgets, report: Report
) -> LocalEngine:
    """The engine, ready for its first request.

    Raises:
        WarmingError: the model does not hear.
    """
    report(Status("warmup", None, Message(SENTENCES, "testing", model=info.model)))
    require_hearing(model, processor, info.model)
    engine = _compiled(model, processor, info, choice, budgets, report)
    engine = engine or LocalEngine(quicken(model), processor, info, budgets)
    engine.prepare(PLAIN, [])
    return engine


def compiled_step() -> CompileConfig:
    """How the step of one token is compiled: as one graph, on CUDA replayed without the host."""
    step: Any = CompileConfig(fullgraph=True, mode="reduce-overhead")
    step._compile_all_devices = True
    return step


def _compiled(
    model: Any, processor: Any, info: EngineInfo, choice: Choice, budgets: Budgets, report: Report
) -> LocalEngine | None:
    """An engine with a compiled step, once it was seen to reply; None where it is not to be."""
    fits = choice.device.startswith("cuda") and choice.quantize != "nf4"
    if choice.compile == "off" or (choice.compile == "auto" and not fits):
        return None
    report(Status("warmup", None, Message(SENTENCES, "compiling", model=choice.model)))
    engine = LocalEngine(model, processor, info, budgets, compiled_step())
    try:
        for _ in engine.stream(HELLO, [], Options(max_new_tokens=WARMUP_TOKENS, temperature=0)):
            pass
    except EngineError:  # the terminal has the details
        engine.close()
        report(Status("warmup", None, Message(SENTENCES, "uncompiled", model=choice.model)))
        return None
    return engine


@torch.inference_mode()
def require_hearing(model: Qwen2AudioForConditionalGeneration, processor: Any, name: str) -> None:
    """Raises WarmingError if two sounds of one length give the same logits; warms up by it."""
    rate = processor.feature_extractor.sampling_rate
    time = np.arange(int(TEST_SECONDS * rate), dtype=np.float32) / rate
    sounds = [0.1 * np.sin(2 * np.pi * pitch * time) for pitch in (220, 1760)]
    low, high = (_logits(model, processor, sound.astype(np.float32)) for sound in sounds)
    if torch.equal(low, high):
        raise WarmingError("deaf", model=name)


def _logits(
    model: Qwen2AudioForConditionalGeneration, processor: Any, sound: np.ndarray
) -> torch.Tensor:
    turn = {"role": "user", "content": [{"type": "audio", "audio_url": "test.wav"}]}
    text = processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
    rate = processor.feature_extractor.sampling_rate
    inputs = processor(text=text, audio=[sound], sampling_rate=rate, return_tensors="pt")
    return model(**inputs.to(model.device, model.dtype)).logits[0, -1]
