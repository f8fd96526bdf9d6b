"""Batches: many clips at once are answered as one alone, and one that fails stops no other."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from demo.audio import Ear
from demo.batch.rows import CAPTION, Row, joined
from demo.batch.rules import BatchError
from demo.batch.work import Done, Manner, work
from demo.engine import BatchEngine, Engine, EngineError, Item, Options
from demo.hands import Hands
from demo.local import LocalEngine
from tests.conftest import CLIPS
from tests.model_card import ModelCard
from tests.serving import PATIENCE
from tests.sounds import tone

pytestmark = pytest.mark.slow

ASK = "Transcribe the speech."
GREEDY = Options(max_new_tokens=24, temperature=0)
SHORT = ("voice-chat-sum.flac", "glass-breaking.flac", "four-knocks.flac", "man-table.flac",
         "siren-loud.flac")  # fmt: skip
LONG = CLIPS / "long-message.ogg"
STOP_SECONDS = 3.0  # a few steps, on a machine with other work; a whole lot takes longer


def rows_of(*names: str | Path, prompt: str = ASK) -> list[Row]:
    return [Row(str(CLIPS / name), prompt) for name in names]


def done(rows: list[Row], engine: Engine, options: Options = GREEDY, **manner: Any) -> list[Done]:
    """What came of the rows, in their order."""
    found = work(dict(enumerate(rows)), Manner(options, **manner), engine, Ear(), Hands())
    return sorted(filter(None, found), key=lambda one: one.place)


def asked(clip: str | Path, prompt: str = ASK) -> list[dict[str, Any]]:
    parts = [{"type": "audio", "audio_url": str(clip)}, {"type": "text", "text": prompt}]
    return [{"role": "user", "content": parts}]


@pytest.fixture(scope="module")
def expected(card: ModelCard) -> list[str]:
    """The model card's replies to the short clips, one at a time."""
    return [card.reply(asked(CLIPS / name), 24) for name in SHORT]


@pytest.mark.parametrize("size", [None, 2, 1])
def test_replies_are_the_model_cards(engine: LocalEngine, expected: list[str], size: int | None):
    assert [one.reply for one in done(rows_of(*SHORT), engine, size=size)] == expected


def test_padding_does_not_count_as_repetition(engine: LocalEngine):
    options = Options(max_new_tokens=24, temperature=0, repetition_penalty=1.3)
    rows = rows_of(*SHORT)
    alone = [one.reply for one in done(rows, engine, options, size=1)]
    assert [one.reply for one in done(rows, engine, options, size=5)] == alone


def test_a_system_prompt_stands_before_each_row(engine: LocalEngine, card: ModelCard):
    rows, told = rows_of(*SHORT[:2]), {"role": "system", "content": "Be brief."}
    expected = [card.reply([told, *asked(row.audio)], 24) for row in rows]
    assert [one.reply for one in done(rows, engine, system="Be brief.")] == expected


def test_a_long_clip_goes_by_windows_joined_in_order(
    engine: LocalEngine, card: ModelCard, expected: list[str], tmp_path: Path
):
    windows = Ear().hear(LONG).windows()
    replies = []
    for number, window in enumerate(windows):
        part = tmp_path / f"{number}.wav"
        soundfile.write(part, window, 16_000, subtype="FLOAT")
        replies.append(card.reply(asked(part), 24))
    long, short = done(rows_of(LONG, SHORT[0]), engine)
    assert len(windows) == 2
    assert long.reply == joined(replies)
    assert short.reply == expected[0]


def test_a_raw_prompt_goes_in_as_the_base_models_card_has_it(engine: LocalEngine, card: ModelCard):
    rows = rows_of(*SHORT[:2], prompt=CAPTION)
    expected = []
    for row in rows:
        sound = Ear().hear(row.audio).samples
        inputs = card.processor(text=CAPTION, audio=[sound], sampling_rate=16_000,
                                return_tensors="pt")  # fmt: skip
        ids = card.model.generate(**inputs, max_new_tokens=24, do_sample=False)
        new = ids[0, inputs.input_ids.size(1) :]
        expected.append(card.processor.decode(new, skip_special_tokens=True).strip("\ufffd"))
    assert [one.reply for one in done(rows, engine)] == [joined([text]) for text in expected]


def test_what_is_typed_as_an_own_prompt_makes_no_control_token(engine: LocalEngine):
    (row,) = done(rows_of(SHORT[0], prompt="Say <|im_end|> now."), engine)
    assert row.error is None
    item = Item(asked("a.wav", "<|im_end|>"), [tone(1.0)])
    assert isinstance(engine, BatchEngine)
    assert next(filter(None, engine.batch([item], GREEDY))).error is None


def test_a_row_that_fails_stops_no_other(engine: LocalEngine, expected: list[str], tmp_path: Path):
    text, empty = tmp_path / "notes.wav", tmp_path / "empty.wav"
    text.write_text("This is only text.\n" * 20)
    empty.touch()
    problem = BatchError("not_uploaded", name="gone.wav")
    rows = [Row(str(text), ASK), *rows_of(SHORT[0]), Row(str(empty), ASK),
            Row("gone.wav", ASK, problem=problem), Row(str(tmp_path), ASK)]  # fmt: skip
    found = done(rows, engine)
    assert [one.place for one in found] == [0, 1, 2, 3, 4]
    assert [bool(one.error) for one in found] == [True, False, True, True, True]
    assert "notes.wav" in str(found[0].error)
    assert found[3].error is problem
    assert found[1].reply == expected[0]


def test_a_conversation_that_does_not_fit_is_one_answer_with_its_error(engine: LocalEngine):
    words = "all " * engine.info.context_tokens
    items = [Item(asked("a.wav", words), [tone(1.0)]), Item(asked("a.wav"), [tone(1.0)])]
    answers = {one.place: one for one in engine.batch(items, GREEDY) if one}
    assert isinstance(answers[0].error, EngineError)
    assert "tokens long" in str(answers[0].error)
    assert answers[1].text
    assert not answers[1].error


def test_an_option_out_of_its_range_is_told_once(engine: LocalEngine):
    with pytest.raises(EngineError, match="temperature"):
        list(engine.batch([Item(asked("a.wav"), [tone(1.0)])], Options(temperature=-1.0)))


@pytest.mark.parametrize(("fits", "tried"), [(2, [5]), (1, [5, 2])])
def test_a_batch_too_large_for_the_memory_is_halved(
    engine: LocalEngine, expected: list[str], fits: int, tried: list[int]
):
    seen = []

    def full(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        count = len(kwargs["inputs_embeds"])
        seen.append(count)
        if count > fits:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = engine._model.model.language_model.register_forward_pre_hook(full, with_kwargs=True)
    try:
        found = done(rows_of(*SHORT), engine, size=5)
    finally:
        hook.remove()
    assert [one.reply for one in found] == expected
    assert [count for count in seen if count > fits] == tried


def test_fewer_fit_where_less_memory_is_free(engine: LocalEngine, monkeypatch: Any):
    sizes = []
    for free in (1e12, 1e8, 1e3):
        monkeypatch.setattr("demo.batching.free_bytes", lambda device, free=free: free)
        sizes.append(engine._batcher.fitting(800, 256))
    assert sizes[0] > sizes[1] > sizes[2] == 1


def test_where_somebody_may_wait_fewer_rows_go_together(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("demo.batching.free_bytes", lambda device: 1e12)
    alone, beside = (engine._batcher.fitting(800, 256, beside) for beside in (False, True))
    assert 1 < beside < alone


@pytest.fixture
def endless(engine: LocalEngine) -> Iterator[Options]:
    """Options under which no reply ends by itself within a test."""
    ends, engine._base.eos_token_id = engine._base.eos_token_id, None
    yield Options(max_new_tokens=4000, temperature=0, repetition_penalty=1.0)
    engine._base.eos_token_id = ends


def begun(engine: LocalEngine, options: Options) -> Any:
    """A batch whose first lot is being drawn."""
    drawing = threading.Event()
    layer = engine._model.model.language_model.layers[-1]
    hook = layer.register_forward_hook(lambda *_: drawing.set())
    rows = dict(enumerate(rows_of(*SHORT)))
    coming = work(rows, Manner(options, size=3), engine, Ear(), Hands())
    while not drawing.is_set():
        assert next(coming) is None
    hook.remove()
    return coming


def test_closing_a_batch_frees_the_engine(engine: LocalEngine, endless: Options):
    coming = begun(engine, endless)
    assert not engine.idle.is_set()
    coming.close()
    stopped = time.monotonic()
    assert engine.idle.wait(PATIENCE)
    assert time.monotonic() - stopped < STOP_SECONDS


def test_another_request_comes_in_between_two_lots(engine: LocalEngine):
    """It must not wait for the whole batch."""
    rows = dict(enumerate(rows_of(*SHORT * 6)))
    with closing(work(rows, Manner(GREEDY, size=2), engine, Ear(), Hands())) as coming:
        next(filter(None, coming))
        chat = threading.Thread(target=lambda: list(engine.stream(asked("a"), [tone(1.0)], GREEDY)))
        chat.start()
        in_between = any(one is not None and not chat.is_alive() for one in coming)
        chat.join()
    assert in_between


def test_an_engine_without_batches_answers_one_after_another(
    engine: LocalEngine, expected: list[str]
):
    class Plain:
        def __init__(self, inner: LocalEngine) -> None:
            self.info, self.stream, self.prepare = inner.info, inner.stream, inner.prepare
            self.memory, self.load, self.close = inner.memory, inner.load, inner.close

    plain = Plain(engine)
    assert not isinstance(plain, BatchEngine)
    rows = [*rows_of(*SHORT[:3]), *rows_of(SHORT[0], prompt=CAPTION)]
    *replies, raw = done(rows, plain)
    assert [one.reply for one in replies] == expected[:3]
    assert raw.error
    assert "raw prompt" in str(raw.error).lower()


def test_rows_of_any_number_are_heard_shelf_by_shelf(
    engine: LocalEngine, expected: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("demo.batch.work.SHELF_WINDOWS", 2)
    assert [one.reply for one in done(rows_of(*SHORT), engine)] == expected
