"""The engine on the preview checkpoint: its replies are those of the model card's few lines."""

import copy
import multiprocessing
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.checkpoint import PREVIEW, choose, load
from demo.conversation import from_history
from demo.decoding import Pieces, defaults_of, merged
from demo.engine import Conversation, Engine, EngineError, Options
from demo.local import LocalEngine
from demo.zerogpu import ForkingEngine

RATE = 16_000
GREEDY = Options(max_new_tokens=24, temperature=0)
ENDLESS = Options(max_new_tokens=4000, temperature=0, repetition_penalty=1.0)
SAFE_SECONDS = 20.0  # far above what is waited for, on a machine with other work


def tone(pitch: float, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE))
    return drawn.astype(np.float32)


def user(*parts: str) -> dict[str, Any]:
    """A user's turn; what ends in .wav is a clip."""
    content = [{"path": part} if part.endswith(".wav") else part for part in parts]
    return {"role": "user", "content": content}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


CASES: dict[str, tuple[Conversation, list[np.ndarray]]] = {
    "voice": (from_history([user("a.wav")]), [noise(2.1)]),
    "analysis": (from_history([user("a.wav", "What is that sound?")]), [tone(440, 1.0)]),
    "text only": (from_history([user("Hello there, 你好!")], "Be brief."), []),
    "text first": (from_history([user("What is this?", "a.wav")]), [tone(880, 0.1)]),
    "two clips": (
        from_history([user("a.wav", "b.wav", "Which is louder?")]),
        [tone(440, 1.5), noise(0.7)],
    ),
    "several turns": (
        from_history(
            [
                user("a.wav", "What is that?"),
                assistant("A tone."),
                user("And this?", "b.wav"),
                assistant("Some noise."),
                user("Which one came first?"),
            ]
        ),
        [tone(440, 1.5), noise(1.5)],
    ),
    "windows of a long clip": (
        from_history([user("a.wav", "a.wav", "a.wav", "Describe it.")]),
        [noise(30.0, 1), noise(27.25, 2), tone(300, 3.3)],
    ),
}


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


def reply(engine: Engine, case: str, options: Options) -> str:
    return "".join(engine.stream(*CASES[case], options))


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


def started(engine: Engine, case: str, options: Options) -> Iterator[str]:
    """A reply whose first piece has come."""
    pieces = engine.stream(*CASES[case], options)
    while not next(pieces):
        pass
    return pieces


@pytest.fixture
def endless(engine: LocalEngine) -> Iterator[Options]:
    """Options under which no reply ends by itself within a test."""
    ends, engine._base.eos_token_id = engine._base.eos_token_id, None
    yield ENDLESS
    engine._base.eos_token_id = ends


def test_closing_a_reply_frees_the_engine(engine: LocalEngine, endless: Options) -> None:
    pieces = started(engine, "voice", endless)
    assert not engine.idle.is_set()
    pieces.close()  # type: ignore[attr-defined]
    begun = time.monotonic()
    assert engine.idle.wait(SAFE_SECONDS)
    print(f"stop to idle: {1000 * (time.monotonic() - begun):.0f} ms")


def test_closing_a_reply_ends_its_prefill_between_two_layers(engine: LocalEngine) -> None:
    entered, go_on = threading.Event(), threading.Event()
    reached = []

    def hold(module: Any, args: Any) -> None:
        entered.set()
        go_on.wait(SAFE_SECONDS)

    layers = engine._model.model.language_model.layers
    hooks = [
        layers[0].register_forward_pre_hook(hold),
        layers[-1].register_forward_hook(lambda *_: reached.append(1)),
    ]
    pieces = engine.stream(*CASES["windows of a long clip"], GREEDY)
    assert next(pieces) == ""  # the engine works; the reader is not held
    assert entered.wait(SAFE_SECONDS)
    pieces.close()  # type: ignore[attr-defined]
    go_on.set()
    assert engine.idle.wait(SAFE_SECONDS)
    for hook in hooks:
        hook.remove()
    assert not reached


def test_a_reply_that_is_closed_while_it_waits_is_never_made(
    engine: LocalEngine, endless: Options
) -> None:
    expected = reply(engine, "voice", GREEDY)
    first = started(engine, "voice", endless)
    second = engine.stream(*CASES["analysis"], endless)
    assert next(second) == ""
    second.close()  # type: ignore[attr-defined]
    assert next(first) is not None
    first.close()  # type: ignore[attr-defined]
    assert engine.idle.wait(SAFE_SECONDS)
    assert reply(engine, "voice", GREEDY) == expected


def test_a_reader_that_is_dropped_ends_its_reply(engine: LocalEngine, endless: Options) -> None:
    pieces = started(engine, "voice", endless)
    del pieces
    assert engine.idle.wait(SAFE_SECONDS)


def test_requests_at_the_same_time_each_get_their_own_reply(engine: LocalEngine) -> None:
    cases = ("analysis", "text only", "text first")
    expected = {case: reply(engine, case, GREEDY) for case in cases}
    got: dict[str, str] = {}

    def ask(case: str) -> None:
        got[case] = reply(engine, case, GREEDY)

    threads = [threading.Thread(target=ask, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SAFE_SECONDS * 3)
    assert got == expected


def fail_once(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, error: Exception, times: int = 1
) -> None:
    """The last layer's next forward passes raise `error`, as a full card would."""
    layer = engine._model.model.language_model.layers[-1]
    forward = layer.forward
    left = iter(range(times - 1))

    def failing(*args: Any, **given: Any) -> Any:
        if next(left, None) is None:
            monkeypatch.setattr(layer, "forward", forward)
        raise error

    monkeypatch.setattr(layer, "forward", failing)


def test_out_of_memory_ends_one_request_and_leaves_the_engine_right(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = reply(engine, "voice", GREEDY)
    fail_once(engine, monkeypatch, torch.OutOfMemoryError("CUDA out of memory."), times=2)
    with pytest.raises(EngineError, match="ran out of memory") as caught:
        reply(engine, "analysis", GREEDY)
    assert caught.value.__context__ is None  # nothing holds the tensors that filled the memory
    assert engine.idle.wait(SAFE_SECONDS)
    assert reply(engine, "voice", GREEDY) == expected


def test_what_is_kept_makes_room_for_the_reply_that_needs_it(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = reply(engine, "voice", GREEDY)
    assert engine.memory().conversations > 0
    fail_once(engine, monkeypatch, torch.OutOfMemoryError("CUDA out of memory."))
    assert reply(engine, "voice", GREEDY) == expected


def test_the_engine_tells_what_it_holds(engine: LocalEngine, card: tuple[Any, Any]) -> None:
    reply(engine, "voice", GREEDY)
    memory = engine.memory()
    weights = sum(weight.nbytes for weight in card[0].parameters())
    assert weights <= memory.weights < 1.01 * weights
    assert 0 < memory.clips < memory.budgets.clips
    assert 0 < memory.conversations < memory.budgets.conversations


def test_any_failure_reaches_the_reader_and_leaves_the_engine_right(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = reply(engine, "voice", GREEDY)
    fail_once(engine, monkeypatch, RuntimeError("the card fell off the bus"))
    with pytest.raises(EngineError, match="the card fell off the bus"):
        reply(engine, "analysis", GREEDY)
    assert "Traceback" in caplog.text
    assert reply(engine, "voice", GREEDY) == expected


def test_a_conversation_that_is_too_long_says_how_long_it_may_be(engine: LocalEngine) -> None:
    conversation = from_history([user(*["a.wav"] * 11)])
    with pytest.raises(EngineError) as caught:
        next(engine.stream(conversation, [noise(30)] * 11, GREEDY))
    assert re.search(r"is 83\d\d tokens long.* takes 8192 .* 5\.5 minutes", str(caught.value))
    assert re.search(r"8192.*5\.5 分钟", caught.value.say("zh"))
    with pytest.raises(EngineError, match=r"is 9\d{3,} tokens long"):
        next(engine.stream(from_history([user("long " * 9000)]), [], GREEDY))


def test_a_reply_ends_where_the_context_does(engine: LocalEngine, endless: Options) -> None:
    words = "a b " * 4070
    request = engine._request(from_history([user(words)]), [], endless)
    room = engine.info.context_tokens - len(request.prompt.ids)
    assert 0 < room < 200
    assert request.config.max_new_tokens == room


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


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_pieces_are_whole_characters_and_add_up(backend: Any, text: str) -> None:
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


def test_a_closed_engine_ends_its_replies_and_refuses_new_ones(endless: Options) -> None:
    engine = load(choose("preview", device="cpu"), lambda status: None)
    running = started(engine, "voice", Options(max_new_tokens=4000, temperature=5.0))
    waiting = engine.stream(*CASES["analysis"], GREEDY)
    assert next(waiting) == ""
    engine.close()
    for pieces in (running, waiting, engine.stream(*CASES["voice"], GREEDY)):
        with pytest.raises(EngineError, match="shut down"):
            list(pieces)
    engine.close()  # twice is once


def plain(make: Any) -> Any:
    """What ZeroGPU's decorator is anywhere else: nothing."""
    return make


def test_replies_for_zerogpu_are_the_same(engine: LocalEngine) -> None:
    forking = ForkingEngine(engine, plain)
    for case in ("voice", "two clips"):
        assert reply(forking, case, GREEDY) == reply(engine, case, GREEDY)
    with pytest.raises(EngineError) as caught:
        reply(forking, "voice", Options(top_p=3))
    assert caught.value.key == "top_p"


def forked(make: Any) -> Any:
    """What ZeroGPU's decorator does: the generator runs in a forked process, what it yields
    comes back pickled, and closing it there is all that can be told it."""
    context = multiprocessing.get_context("fork")

    def work(there: Any, args: Any) -> None:
        pieces = make(*args)
        for piece in pieces:
            there.send(piece)
            if there.poll():
                pieces.close()
                break
        there.send(None)

    def generator(*args: Any) -> Iterator[Any]:
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, args), daemon=True)
        process.start()
        try:
            while (piece := here.recv()) is not None:
                yield piece
        finally:
            here.send("close")
            process.join(SAFE_SECONDS)
            assert process.exitcode == 0

    return generator


def test_a_reply_made_in_a_forked_process_is_the_same(engine: LocalEngine) -> None:
    expected = reply(engine, "voice", GREEDY)
    assert reply(ForkingEngine(engine, forked), "voice", GREEDY) == expected


def test_an_error_in_a_forked_process_comes_back_with_its_sentence(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(engine, monkeypatch, torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(EngineError, match="ran out of memory"):
        reply(ForkingEngine(engine, forked), "voice", GREEDY)


def test_closing_a_reply_ends_the_forked_process(engine: LocalEngine, endless: Options) -> None:
    pieces = started(ForkingEngine(engine, forked), "voice", endless)
    pieces.close()  # type: ignore[attr-defined]  # `forked` asserts that its process ended
