"""The engine on the preview checkpoint: its replies are those of the model card's few lines."""

import copy
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from demo.checkpoint import PREVIEW
from demo.conversation import from_history
from demo.decoding import Pieces
from demo.engine import Conversation, EngineError, Options
from demo.local import LocalEngine
from tests.local_parts import CASES, GREEDY, RATE, noise, reply, user

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def card() -> tuple[Any, Any]:
    """The model card's model and processor, apart from the engine's."""
    from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

    processor = AutoProcessor.from_pretrained(PREVIEW)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(PREVIEW, dtype=torch.float32)
    return model.eval(), processor


def card_ids(
    card: tuple[Any, Any], conversation: Conversation, windows: list[np.ndarray], **how: Any
) -> list[int]:
    """The reply's tokens by the model card's few lines, with `audio=` and `sampling_rate=`."""
    model, processor = card
    text = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    sound = {"audio": windows, "sampling_rate": RATE} if windows else {}
    inputs = processor(text=text, **sound, return_tensors="pt")
    return model.generate(**inputs, **how)[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens that the engine has generated, as they are added."""
    seen: list[int] = []
    add = Pieces.add
    monkeypatch.setattr(Pieces, "add", lambda self, one: (seen.append(one), add(self, one)))
    return seen


def same(card: tuple[Any, Any], text: str, tokens: list[int], expected: list[int]) -> bool:
    """Token for token, and the text of them but for the half character that it may end with."""
    decoded = card[1].decode(expected, skip_special_tokens=True)
    return tokens == expected and text == decoded.rstrip("\ufffd")


@pytest.mark.parametrize("case", CASES)
def test_a_greedy_reply_is_the_model_cards(
    engine: LocalEngine, card: Any, tokens: list[int], case: str
) -> None:
    expected = card_ids(card, *CASES[case], max_new_tokens=24, do_sample=False)
    assert same(card, reply(engine, case, GREEDY), tokens, expected)


@pytest.mark.parametrize("case", ["voice", "several turns"])
def test_so_it_is_with_a_repetition_penalty(
    engine: LocalEngine, card: Any, tokens: list[int], case: str
) -> None:
    how = {"max_new_tokens": 24, "do_sample": False, "repetition_penalty": 1.3}
    options = Options(max_new_tokens=24, temperature=0, repetition_penalty=1.3)
    expected = card_ids(card, *CASES[case], **how)
    assert same(card, reply(engine, case, options), tokens, expected)


@pytest.mark.parametrize("seed", [0, 7])
def test_so_it_is_when_drawn_with_a_seed(
    engine: LocalEngine, card: Any, tokens: list[int], seed: int
) -> None:
    drawn = {"temperature": 1.5, "top_p": 0.95, "top_k": 40, "repetition_penalty": 1.1}
    torch.manual_seed(seed)
    expected = card_ids(card, *CASES["analysis"], max_new_tokens=24, do_sample=True, **drawn)
    options = Options(max_new_tokens=24, seed=seed, **drawn)
    assert same(card, reply(engine, "analysis", options), tokens, expected)


def test_a_seed_leaves_the_random_state_of_the_process(engine: LocalEngine) -> None:
    before = torch.random.get_rng_state()
    reply(engine, "voice", Options(max_new_tokens=4, temperature=1.0, seed=3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_options_left_open_are_the_checkpoints(
    engine: LocalEngine, card: Any, tokens: list[int]
) -> None:
    expected = card_ids(card, *CASES["voice"])
    assert same(card, reply(engine, "voice", Options()), tokens, expected)
    defaults = vars(engine.info.defaults)
    assert [name for name, value in defaults.items() if value is None] == ["seed"]


def test_the_model_hears_which_clip_is_where(engine: LocalEngine) -> None:
    """Replies may be the same word by chance; the first token's logits may not."""
    conversation, windows = CASES["several turns"]
    model, processor = engine._model, engine._processor
    text = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)

    def logits(clips: list[np.ndarray]) -> torch.Tensor:
        inputs = processor(text=text, audio=clips, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            return model(**inputs).logits[0, -1]

    assert not torch.allclose(logits(windows), logits(windows[::-1]))


@pytest.mark.parametrize("case", CASES)
def test_the_prompts_tokens_are_the_processors(
    engine: LocalEngine, card: tuple[Any, Any], case: str
) -> None:
    assert engine._request(*CASES[case], GREEDY).prompt.ids == processed(card, *CASES[case])


@settings(max_examples=10, deadline=None)
@given(samples=st.integers(1600, 30 * RATE))
def test_so_it_is_for_a_clip_of_any_length(
    engine: LocalEngine, card: tuple[Any, Any], samples: int
) -> None:
    case = CASES["voice"][0], [np.zeros(samples, np.float32)]
    assert engine._request(*case, GREEDY).prompt.ids == processed(card, *case)


def processed(
    card: tuple[Any, Any], conversation: Conversation, windows: list[np.ndarray]
) -> list[int]:
    """The prompt's tokens by the model card's processor."""
    text = card[1].apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    sound = {"audio": windows, "sampling_rate": RATE} if windows else {}
    return card[1](text=text, **sound)["input_ids"][0]


def test_nothing_that_is_handed_in_is_changed(engine: LocalEngine) -> None:
    conversation, windows = copy.deepcopy(CASES["several turns"])
    for window in windows:
        window.flags.writeable = False
    kept = copy.deepcopy(conversation), [window.copy() for window in windows]
    list(engine.stream(conversation, windows, GREEDY))
    assert conversation == kept[0]
    assert all(map(np.array_equal, windows, kept[1]))


def test_a_conversation_that_is_too_long_says_how_long_it_may_be(engine: LocalEngine) -> None:
    conversation = from_history([user(*["a.wav"] * 11)])
    with pytest.raises(EngineError) as caught:
        next(engine.stream(conversation, [noise(30)] * 11, GREEDY))
    assert re.search(r"is 83\d\d tokens long.* takes 8192 .* 5\.5 minutes", str(caught.value))
    assert re.search(r"8192.*5\.5 分钟", caught.value.say("zh"))
    with pytest.raises(EngineError, match=r"is 9\d{3,} tokens long.* shorter clip or text"):
        next(engine.stream(from_history([user("long " * 9000)]), [], GREEDY))


def test_the_engine_tells_what_it_holds(engine: LocalEngine, card: tuple[Any, Any]) -> None:
    reply(engine, "voice", GREEDY)
    memory = engine.memory()
    weights = sum(weight.nbytes for weight in card[0].parameters())
    assert weights <= memory.weights < 1.01 * weights
    assert 0 < memory.clips < memory.budgets.clips
    assert 0 < memory.conversations < memory.budgets.conversations


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_pieces_are_whole_characters_and_add_up(backend: Any, text: str) -> None:
    assume(not text.endswith("\ufffd"))  # as what a token leaves unfinished at the end
    pieces: list[str] = []
    writer = Pieces(backend, pieces.append)
    ids = backend.encode(text, add_special_tokens=False).ids
    for one in ids:
        writer.add(one)
    assert "".join(pieces) == backend.decode(ids)
    assert all("\ufffd" not in piece or "\ufffd" in text for piece in pieces)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_tokens_that_are_no_text_neither_fail_nor_lose_what_is(backend: Any, data: Any) -> None:
    some = st.lists(st.integers(0, backend.get_vocab_size() - 1), max_size=30)
    letters = backend.encode(" end", add_special_tokens=False).ids
    ids = [*data.draw(some), *letters]
    pieces: list[str] = []
    writer = Pieces(backend, pieces.append)
    for one in ids:
        writer.add(one)
    assert "".join(pieces) == backend.decode(ids)


@pytest.fixture(scope="module")
def backend(card: tuple[Any, Any]) -> Any:
    return card[1].tokenizer.backend_tokenizer


def test_half_a_character_at_the_end_is_dropped(backend: Any) -> None:
    ids = backend.encode("好😀", add_special_tokens=False).ids
    pieces: list[str] = []
    writer = Pieces(backend, pieces.append)
    for one in ids[:-1]:
        writer.add(one)
    writer.end()
    assert pieces == ["好"]
