"""What is kept and what is prepared between replies: not fed again, and within its budget."""

import threading
import time
from contextlib import closing
from typing import Any

import pytest
import torch

from demo.caches import cache_bytes, new_cache
from demo.engine import Budgets
from demo.prefill import Prompt
from demo.stores import ClipStore, Prefix, PrefixStore
from demo.streaming import SPARE_MOST, InferenceThread, Reply
from tests.prefill_parts import GREEDY, Small, Turn, asked, build, engine_ids, plain_ids
from tests.prefill_parts import small as small
from tests.serving import PATIENCE

pytestmark = pytest.mark.slow


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
        assert engine.idle.wait(PATIENCE)
        assert sum(fed) > 250
        fed.clear()
        assert engine_ids(engine, turns, GREEDY) == expected
    assert 0 < sum(fed) < 40


def test_a_reply_comes_before_what_is_prepared(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [(Turn(((7, 290), (8, 290), (9, 290)), "Which?"), "")]
    turns = [(Turn(((1, 10),), "What is it?"), "")]
    expected = plain_ids(small, turns, GREEDY)
    with closing(build(small, Budgets())) as engine:
        feed, gate = engine._feed, threading.Event()

        def held(prompt: Prompt, work: Reply) -> None:
            while not (gate.is_set() or work.stop.is_set()):
                time.sleep(0.01)
            feed(prompt, work)

        monkeypatch.setattr(engine, "_feed", held)
        engine.prepare(*asked(ahead))
        engine.prepare(*asked(ahead))
        assert engine_ids(engine, turns, GREEDY) == expected
        assert not engine.idle.is_set()  # what was prepared goes on afterwards
        gate.set()
        assert engine.idle.wait(PATIENCE)
        assert engine_ids(engine, ahead, GREEDY) == plain_ids(small, ahead, GREEDY)


def test_only_the_newest_of_too_much_spare_work_is_done() -> None:
    thread, gate, done = InferenceThread(), threading.Event(), []
    thread.prepare(lambda work: done.append(gate.wait(PATIENCE)))
    while not thread.busy:
        time.sleep(0.01)
    for number in range(40):
        thread.prepare(lambda work, number=number: done.append(number))
    gate.set()
    assert thread.idle.wait(PATIENCE)
    assert done == [True, *range(40 - SPARE_MOST, 40)]
    thread.close(RuntimeError("the end"))


def test_closing_drops_what_is_prepared(small: Small) -> None:
    engine = build(small, Budgets())
    engine.prepare(*asked([(Turn(((7, 290), (8, 290)), "Which?"), "")]))
    engine.close()
    with pytest.raises(Exception, match="shut down"):
        engine.prepare(*asked([(Turn((), "Hello"), "")]))


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
