"""Whatever is kept from turn to turn, the replies stay those of plain Transformers.

On a small model with random weights: its replies hang on every number, and it is fast.
"""

import copy
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo import attention
from demo.encoder import embed, log_mel
from demo.engine import Budgets, EngineInfo, Options
from demo.local import LocalEngine
from demo.packing import quicken
from tests.prefill_parts import (
    GREEDY,
    RATE,
    Small,
    Turn,
    asked,
    build,
    engine_ids,
    plain_ids,
    sound,
)
from tests.prefill_parts import small as small
from tests.serving import PATIENCE
from tests.steps import captured_step

pytestmark = pytest.mark.slow

SAMPLED = replace(GREEDY, temperature=0.9, top_p=0.8, repetition_penalty=1.3, seed=7)
TINY = Budgets(clips=20_000, conversations=150_000)  # two clips, one short conversation


@pytest.fixture(scope="module")
def roomy(small: Small) -> Iterator[LocalEngine]:
    with closing(build(small, Budgets())) as engine:
        yield engine


@pytest.fixture(scope="module")
def tight(small: Small) -> Iterator[LocalEngine]:
    """Little is kept, and the products are oneDNN's."""
    with closing(build((quicken(copy.deepcopy(small[0])), *small[1:]), TINY)) as engine:
        yield engine


@pytest.fixture(scope="module")
def without(small: Small) -> Iterator[LocalEngine]:
    with closing(build(small, Budgets(0, 0))) as engine:
        yield engine


@pytest.fixture(scope="module")
def static(small: Small) -> Iterator[LocalEngine]:
    info = EngineInfo("small", "cpu", "float32", 8192, False, GREEDY)
    with closing(LocalEngine(small[0], small[1], info, TINY, captured_step())) as engine:
        yield engine


CLIP = st.tuples(st.integers(0, 2), st.sampled_from([1, 7, 10]))
TURN = st.builds(
    Turn, st.lists(CLIP, max_size=2).map(tuple), st.sampled_from(["", "What is it?", "And 你好?"])
).filter(lambda turn: bool(turn.clips or turn.words))
ACTION = st.one_of(
    st.tuples(st.just("say"), TURN),
    st.tuples(st.just("edit"), TURN),
    st.tuples(st.just("ahead"), TURN),
    st.tuples(st.sampled_from(["retry", "undo", "stop", "other"]), st.none()),
)


@pytest.mark.parametrize("store", ["roomy", "tight", "without", "static"])
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=st.lists(ACTION, min_size=2, max_size=6), options=st.sampled_from([GREEDY, SAMPLED]))
def test_any_conversation_gets_the_replies_of_plain_transformers(
    store: str,
    request: pytest.FixtureRequest,
    small: Small,
    actions: list[tuple[str, Any]],
    options: Options,
) -> None:
    engine: LocalEngine = request.getfixturevalue(store)
    here: list[tuple[Turn, str]] = [(Turn(((0, 10),), "Hello"), "")]
    there: list[tuple[Turn, str]] = [(Turn(((0, 10),), "What is it?"), "")]
    for action, turn in actions:
        match action:
            case "say":
                here = [*here, (turn, "")]
            case "edit":
                here = [*here[:-1], (turn, "")]
            case "ahead":  # the clips are there before the words are sent
                here = [*here, (turn, "")]
                engine.prepare(*asked([*here[:-1], (replace(turn, words=""), "")]))
            case "undo":
                here = here[:-1] or here
            case "other":
                here, there = there, here
            case "stop":
                with closing(engine.stream(*asked(here), options)) as pieces:  # type: ignore[type-var]
                    next(pieces)
                assert engine.idle.wait(PATIENCE)  # it may have been drawing its last token
        expected = plain_ids(small, here, options)
        assert engine_ids(engine, here, options) == expected
        text = small[1].decode(expected, skip_special_tokens=True)
        here = [*here[:-1], (here[-1][0], text)]


def test_clips_of_equal_length_are_told_apart(small: Small, roomy: LocalEngine) -> None:
    one, other = ([(Turn(((seed, 50),), "What is it?"), "")] for seed in (11, 12))
    assert engine_ids(roomy, one, GREEDY) == plain_ids(small, one, GREEDY)
    assert engine_ids(roomy, other, GREEDY) == plain_ids(small, other, GREEDY)
    assert plain_ids(small, one, GREEDY) != plain_ids(small, other, GREEDY)


def test_an_exception_in_mid_prefill_leaves_the_next_reply_right(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [(Turn(((3, 150), (4, 100)), "Which?"), "")]
    expected = plain_ids(small, turns, GREEDY)
    layer = small[0].model.language_model.layers[1]
    forward, calls = layer.forward, threading.Semaphore(1)

    def failing(*args: Any, **kwargs: Any) -> Any:
        if calls.acquire(blocking=False):
            return forward(*args, **kwargs)
        raise RuntimeError("between two layers of the second chunk")

    with closing(build(small, Budgets())) as engine:
        monkeypatch.setattr(layer, "forward", failing)
        with pytest.raises(Exception, match="second chunk"):
            engine_ids(engine, turns, GREEDY)
        monkeypatch.undo()
        assert engine_ids(engine, turns, GREEDY) == expected


@pytest.mark.parametrize("samples", [1700, 16_000, 16_159, 52_345, 479_000, 480_000])
def test_a_clips_own_frames_give_what_the_padded_window_gives(small: Small, samples: int) -> None:
    _, processor, model = small
    window = sound((5, 1 + samples // 1600))[:samples]
    extracted = processor.feature_extractor(
        window, sampling_rate=RATE, return_attention_mask=True, return_tensors="pt"
    )
    seen: dict[str, torch.Tensor] = {}

    def look(module: Any, args: Any, kwargs: Any) -> None:
        seen["embeds"] = kwargs["inputs_embeds"]

    handle = model.model.language_model.register_forward_pre_hook(look, with_kwargs=True)
    inputs = processor(text="<|AUDIO|>", audio=[window], sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        model(**inputs)
    handle.remove()
    padded = seen["embeds"][0][inputs["input_ids"][0] == model.config.audio_token_id]
    mel, frames = log_mel(processor.feature_extractor, window)
    assert frames == int(extracted["attention_mask"].sum())
    torch.testing.assert_close(embed(model, mel, frames), padded, atol=1e-4, rtol=1e-4)


def test_many_new_positions_over_a_long_cache_give_the_same_tokens(
    small: Small, tight: LocalEngine
):
    """Enough of both for the products of oneDNN: a second clip of 11 s after one of 28 s."""
    turns = [(Turn(((3, 280),), "What is it?"), "A noise."), (Turn(((4, 110),), "And now?"), "")]
    with pytest.MonkeyPatch.context() as patch:
        used: list[int] = []
        product = attention.product
        patch.setattr(attention, "product", lambda *given: used.append(1) or product(*given))
        assert engine_ids(tight, turns, GREEDY) == plain_ids(small, turns, GREEDY)
    assert used
