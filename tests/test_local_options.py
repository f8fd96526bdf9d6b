"""The options of a reply: where they come from and which are refused, as a missing question is."""

from typing import Any

import pytest

from demo.conversation import from_history
from demo.decoding import defaults_of, merged
from demo.engine import EngineError, Options
from demo.local import LocalEngine
from tests.local_parts import CASES, GREEDY, assistant, reply, user

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("history", [[], [user("hi"), assistant("hello")], [user("  ")]])
def test_a_conversation_without_a_question_is_refused(engine: LocalEngine, history: Any) -> None:
    with pytest.raises(EngineError) as caught:
        next(engine.stream(from_history(history), [], GREEDY))
    assert caught.value.key == "nothing"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (Options(max_new_tokens=0), "max_new_tokens"),
        (Options(max_new_tokens=2.5), "max_new_tokens"),  # type: ignore[arg-type]
        (Options(temperature=-0.1), "temperature"),
        (Options(temperature=float("nan")), "temperature"),
        (Options(top_p=0), "top_p"),
        (Options(top_p=1.01), "top_p"),
        (Options(top_k=-1), "top_k"),
        (Options(repetition_penalty=0), "repetition_penalty"),
        (Options(seed=-1), "seed"),
        (Options(seed=2**63), "seed"),
    ],
)
def test_an_option_out_of_its_range_is_refused(
    engine: LocalEngine, options: Options, key: str
) -> None:
    with pytest.raises(EngineError) as caught:
        next(engine.stream(*CASES["voice"], options))
    assert caught.value.key == key
    assert caught.value.say("zh") != str(caught.value)


def test_the_instruct_models_defaults_are_read() -> None:
    from transformers import GenerationConfig

    config = GenerationConfig(
        do_sample=True, repetition_penalty=1.1, temperature=0.7, top_p=0.5, top_k=20
    )
    assert defaults_of(config) == Options(1024, 0.7, 0.5, 20, 1.1)
    assert merged(Options(temperature=0, seed=1), defaults_of(config)) == Options(
        1024, 0, 0.5, 20, 1.1, 1
    )


def test_whole_numbers_are_drawn_with_as_well(engine: LocalEngine):
    options = Options(max_new_tokens=2, temperature=2, top_p=1, repetition_penalty=2)
    assert reply(engine, "voice", options)


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_generation_warns_of_nothing(
    engine: LocalEngine, temperature: float, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(max_new_tokens=2, temperature=temperature, top_p=0.3, top_k=5)
    reply(engine, "voice", options)
    assert capsys.readouterr().err == ""
