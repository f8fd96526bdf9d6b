"""A compiled step for tests: captured as one graph, but not made into machine code."""

from typing import Any

from transformers.generation.configuration_utils import CompileConfig


def captured_step() -> CompileConfig:
    step: Any = CompileConfig(backend="eager", fullgraph=True)
    step.mode, step._compile_all_devices = None, True
    return step
