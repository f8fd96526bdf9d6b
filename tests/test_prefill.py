"""Whatever is kept from turn to turn, the replies stay those of plain Transformers.

On a small model with random weights: its replies hang on every number, and it is fast.
"""

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoProcessor, Qwen2AudioForConditionalGeneration

from demo import attention
from demo.caches import cache_bytes, new_cache
from demo.checkpoint import PREVIEW
from demo.decoding import Pieces
from demo.encoder import embed, log_mel
from demo.engine import Budgets, Conversation, EngineInfo, Options
from demo.local import LocalEngine
from demo.packing import quicken
from demo.stores import ClipStore, Prefix, PrefixStore
from demo.streaming import SPARE_MOST, InferenceThread
from tests.steps import captured_step

Small = tuple[Any, Any, Any]
"""The engine's model, the processor, and the same model for plain Transformers."""

RATE = 16_000
GREEDY = Options(max_new_tokens=6, temperature=0.0, top_p=1.0, top_k=50, repetition_penalty=1.0)
SAMPLED = replace(GREEDY, temperature=0.9, top_p=0.8, repetition_penalty=1.3, seed=7)
TINY = Budgets(clips=20_000, conversations=150_000)  # two clips, one short conversation


@pytest.fixture(scope="module")
def small() -> Small:
    """A model of random weights in the preview's shape, but thinner; and its processor."""
    torch.manual_seed(0)
    config: Any = AutoConfig.from_pretrained(PREVIEW)
    audio, text = config.audio_config, config.text_config
    audio.d_model, audio.encoder_attention_heads, audio.encoder_layers = 48, 2, 1
    audio.encoder_ffn_dim = 64
    text.hidden_size, text.num_attention_heads, text.num_key_value_heads = 64, 2, 2
    text.intermediate_size, text.num_hidden_layers = 96, 2
    text.layer_types, text.initializer_range = ["full_attention"] * 2, 0.3
    model = Qwen2AudioForConditionalGeneration(config).eval()
    # Plain Transformers gets weights of its own: the engine stops its model by hooks in it.
    return model, AutoProcessor.from_pretrained(PREVIEW), copy.deepcopy(model)


def build(small: Small, budgets: Budgets) -> LocalEngine:
    info = EngineInfo("small", "cpu", "float32", 8192, False, GREEDY)
    return LocalEngine(small[0], small[1], info, budgets)


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


@dataclass(frozen=True)
class Turn:
    """A user's turn: its clips as (seed, tenths of a second), and its words."""

    clips: tuple[tuple[int, int], ...]
    words: str


def sound(clip: tuple[int, int]) -> np.ndarray:
    seed, tenths = clip
    drawn = np.random.default_rng(seed).normal(0, 0.1, tenths * RATE // 10)
    return drawn.astype(np.float32)


def asked(turns: list[tuple[Turn, str]]) -> tuple[Conversation, list[np.ndarray]]:
    """The conversation of turns and their replies, the last of them still open."""
    conversation: Conversation = []
    windows: list[np.ndarray] = []
    for turn, reply in turns:
        parts = [{"type": "audio", "audio_url": "clip"} for _ in turn.clips]
        content = [*parts, {"type": "text", "text": turn.words}]
        conversation += [{"role": "user", "content": content}]
        conversation += [{"role": "assistant", "content": reply}]
        windows += [sound(clip) for clip in turn.clips]
    return conversation[:-1], windows


def plain_ids(small: Small, turns: list[tuple[Turn, str]], options: Options) -> list[int]:
    """The reply's tokens by plain Transformers, everything computed anew."""
    _, processor, model = small
    conversation, windows = asked(turns)
    text = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    given_sound = {"audio": windows, "sampling_rate": RATE} if windows else {}
    inputs = processor(text=text, **given_sound, return_tensors="pt")
    how: dict[str, Any] = {"do_sample": False}
    if options.temperature:
        torch.manual_seed(options.seed or 0)
        how = {"do_sample": True, "temperature": options.temperature, "top_p": options.top_p}
    ids = model.generate(
        **inputs,
        **how,
        top_k=options.top_k,
        repetition_penalty=options.repetition_penalty,
        max_new_tokens=options.max_new_tokens,
    )
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


def engine_ids(engine: LocalEngine, turns: list[tuple[Turn, str]], options: Options) -> list[int]:
    """The reply's tokens as the engine draws them."""
    drawn: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pieces, "add", lambda self, token: drawn.append(token))
        list(engine.stream(*asked(turns), options))
    return drawn


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
                assert engine.idle.wait(20)  # it may have been drawing its last token
        expected = plain_ids(small, here, options)
        assert engine_ids(engine, here, options) == expected
        text = small[1].decode(expected, skip_special_tokens=True)
        here = [*here[:-1], (here[-1][0], text)]


@pytest.fixture
def fed(small: Small, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many positions each prefill step feeds to the decoder, as they come."""
    counts: list[int] = []
    decoder = small[0].model.language_model
    forward = decoder.forward

    def counting(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("inputs_embeds") is not None and kwargs["inputs_embeds"].shape[1] > 1:
            counts.append(kwargs["inputs_embeds"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(decoder, "forward", counting)
    return counts


def test_a_longer_conversation_feeds_only_what_is_new(small: Small, fed: list[int]) -> None:
    first = Turn(((1, 100),), "What is it?")
    with closing(build(small, Budgets())) as engine:
        reply = small[1].decode(engine_ids(engine, [(first, "")], GREEDY), skip_special_tokens=True)
        assert sum(fed) > 250  # the clip alone is so many
        fed.clear()
        engine_ids(engine, [(first, reply), (Turn((), "And now?"), "")], GREEDY)
    assert 0 < sum(fed) < 60


def test_a_prepared_clip_is_not_fed_again(small: Small, fed: list[int]) -> None:
    turns = [(Turn(((6, 100),), "What do you hear?"), "")]
    expected = plain_ids(small, turns, GREEDY)
    with closing(build(small, Budgets())) as engine:
        fed.clear()
        engine.prepare(*asked([(Turn(((6, 100),), ""), "")]))
        assert engine.idle.wait(20)
        assert sum(fed) > 250
        fed.clear()
        assert engine_ids(engine, turns, GREEDY) == expected
    assert 0 < sum(fed) < 40


def test_a_reply_comes_before_what_is_prepared(small: Small) -> None:
    ahead = [(Turn(((7, 290), (8, 290), (9, 290)), "Which?"), "")]
    turns = [(Turn(((1, 10),), "What is it?"), "")]
    expected = plain_ids(small, turns, GREEDY)
    with closing(build(small, Budgets())) as engine:
        engine.prepare(*asked(ahead))
        engine.prepare(*asked(ahead))
        assert engine_ids(engine, turns, GREEDY) == expected
        assert not engine.idle.is_set()  # what was prepared goes on afterwards
        assert engine.idle.wait(20)
        assert engine_ids(engine, ahead, GREEDY) == plain_ids(small, ahead, GREEDY)


def test_only_the_newest_of_too_much_spare_work_is_done() -> None:
    thread, gate, done = InferenceThread(), threading.Event(), []
    thread.prepare(lambda work: done.append(gate.wait(20)))
    while not thread.busy:
        time.sleep(0.01)
    for number in range(40):
        thread.prepare(lambda work, number=number: done.append(number))
    gate.set()
    assert thread.idle.wait(20)
    assert done == [True, *range(40 - SPARE_MOST, 40)]
    thread.close(RuntimeError("the end"))


def test_closing_drops_what_is_prepared(small: Small) -> None:
    engine = build(small, Budgets())
    engine.prepare(*asked([(Turn(((7, 290), (8, 290)), "Which?"), "")]))
    engine.close()
    with pytest.raises(Exception, match="shut down"):
        engine.prepare(*asked([(Turn((), "Hello"), "")]))


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


def test_the_clip_store_forgets_what_was_used_longest_ago() -> None:
    store = ClipStore(budget=3 * 400)
    for name in "abc":
        store.put(name, torch.zeros(100))
    store.get("a")
    store.put("d", torch.zeros(100))
    assert store.get("b") is None
    assert store.get("a") is not None
    assert store.bytes == 3 * 400


def test_a_prefix_store_keeps_to_its_budget_and_never_gives_all_away(
    small: Small,
) -> None:
    embeds = torch.zeros(1, 10, 64)
    cache = new_cache()
    small[0].model.language_model(inputs_embeds=embeds, past_key_values=cache, use_cache=True)
    store = PrefixStore(budget=cache_bytes(cache))
    store.put(Prefix(list(range(10)), cache))
    taken = store.take(list(range(10)))
    assert (len(taken.keys), taken.cache.get_seq_length()) == (9, 9)
    assert store.bytes == 0
    store.put(Prefix(taken.keys, taken.cache))
    shared = store.take([0, 1, 2, 99])  # little of it is shared: the kept one stays
    assert (shared.keys, shared.cache.get_seq_length()) == ([0, 1, 2], 3)
    assert store.take(list(range(10))).keys == list(range(9))


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
