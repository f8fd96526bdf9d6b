"""Drawing on static caches, as the compiled step needs them: the same tokens as on growing ones."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import torch

from demo.checkpoint import choose, load
from demo.engine import EngineError, Options
from demo.local import LocalEngine
from demo.quantizing import quantization
from tests.local_parts import CASES, GREEDY
from tests.steps import captured_step

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def static(engine: LocalEngine) -> Iterator[LocalEngine]:
    """An engine that draws on static caches, its step captured but not compiled to machine code."""
    one = LocalEngine(engine._model, engine._processor, engine.info, compiled=captured_step())
    yield one
    one.close()


def reply(engine: LocalEngine, case: str, options: Options) -> str:
    return "".join(engine.stream(*CASES[case], options))


@pytest.mark.parametrize("case", CASES)
def test_a_compiled_step_draws_the_same(case: str, engine: LocalEngine, static: LocalEngine):
    assert reply(static, case, GREEDY) == reply(engine, case, GREEDY)


def test_a_compiled_reply_outgrows_its_cache_and_goes_on(
    engine: LocalEngine, static: LocalEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine._base, "eos_token_id", None)
    monkeypatch.setattr("demo.drawing.SMALLEST", 64)
    long = replace(GREEDY, max_new_tokens=300)
    assert reply(static, "voice", long) == reply(engine, "voice", long)
    assert reply(static, "voice", long) == reply(engine, "voice", long)  # on what was kept
    assert len(static._drawer._static) > 1


def test_a_seeded_reply_is_drawn_alike_on_a_static_cache(engine: LocalEngine, static: LocalEngine):
    drawn = Options(max_new_tokens=48, temperature=0.9, top_p=0.9, top_k=30, seed=3)
    assert reply(static, "voice", drawn) == reply(engine, "voice", drawn)


@pytest.mark.parametrize("kind", ["int8", "fp8", "nf4"])
def test_smaller_weights_answer_and_take_less(kind: Any, engine: LocalEngine):
    dtype = "float32" if kind == "int8" else "bfloat16"
    choice = choose("preview", device="cpu", dtype=dtype, quantize=kind)
    small = load(choice, lambda status: None)
    assert isinstance(small, LocalEngine)
    with closing(small):
        assert reply(small, "analysis", GREEDY)
        whole = engine.memory().weights / (1 if dtype == "float32" else 2)
        assert small.memory().weights < 0.85 * whole
        tower = small._model.model.audio_tower
        assert {type(weight) for weight in tower.parameters()} == {torch.nn.Parameter}


def test_a_package_for_smaller_weights_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"int8 needs the package torchao.*pip install"):
        quantization("int8", torch.float32)


def test_a_step_that_cannot_be_compiled_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, caplog):
    def failing(*args: Any, **given: Any):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr("demo.drawing.Drawer._generate_in_steps", failing)
    told: list[str] = []
    choice = choose("preview", device="cpu", dtype="float32", compile="on")
    one = load(choice, lambda status: told.append(str(status.text)))
    assert isinstance(one, LocalEngine)
    with closing(one):
        assert reply(one, "analysis", GREEDY)
    assert any("could not be compiled" in line for line in told)
    assert "no compiler here" in caplog.text
