"""Batches: rows, manifests, scores and files; many clips at once are answered as one alone."""

import csv
import io
import json
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
from demo.batch import command, lines
from demo.batch.collect import collect
from demo.batch.manifest import read
from demo.batch.output import Output
from demo.batch.rows import CAPTION, CHOICES, Row, joined, question
from demo.batch.rules import SOUND, BatchError
from demo.batch.score import score
from demo.batch.work import Done, Manner, work
from demo.engine import BatchEngine, Engine, EngineError, Item, Options
from demo.local import LocalEngine
from tests.conftest import CLIPS
from tests.model_card import ModelCard
from tests.sounds import tone, wav

ASK = "Transcribe the speech."
GREEDY = Options(max_new_tokens=24, temperature=0)
SHORT = ("voice-chat-sum.flac", "glass-breaking.flac", "four-knocks.flac", "man-table.flac",
         "siren-loud.flac")  # fmt: skip
LONG = CLIPS / "long-message.ogg"
SAFE_SECONDS = 20.0  # far above what is waited for, on a machine with other work


def rows_of(*names: str | Path, prompt: str = ASK) -> list[Row]:
    return [Row(str(CLIPS / name), prompt) for name in names]


def done(rows: list[Row], engine: Engine, options: Options = GREEDY, **manner: Any) -> list[Done]:
    """What came of the rows, in their order."""
    found = work(dict(enumerate(rows)), Manner(options, **manner), engine, Ear())
    return sorted(filter(None, found), key=lambda one: one.place)


def asked(clip: str | Path, prompt: str = ASK) -> list[dict[str, Any]]:
    parts = [{"type": "audio", "audio_url": str(clip)}, {"type": "text", "text": prompt}]
    return [{"role": "user", "content": parts}]


# Many at once.


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
    coming = work(rows, Manner(options, size=3), engine, Ear())
    while not drawing.is_set():
        assert next(coming) is None
    hook.remove()
    return coming


def test_closing_a_batch_frees_the_engine(engine: LocalEngine, endless: Options):
    coming = begun(engine, endless)
    assert not engine.idle.is_set()
    coming.close()
    stopped = time.monotonic()
    assert engine.idle.wait(SAFE_SECONDS)
    print(f"stop to idle: {1000 * (time.monotonic() - stopped):.0f} ms")


def test_another_request_comes_in_between_two_lots(engine: LocalEngine):
    """It must not wait for the whole batch."""
    rows = dict(enumerate(rows_of(*SHORT * 6)))
    with closing(work(rows, Manner(GREEDY, size=2), engine, Ear())) as coming:
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


# What is asked.


def test_a_task_has_its_prompt_in_either_language():
    assert question("transcribe", "english", None, "en") == ASK
    assert "法语" in question("translate", "french", None, "zh")
    assert question("raw", "english", None, "en") == CAPTION
    assert question("own", "english", "Who speaks?", "en") == "Who speaks?"


@pytest.mark.parametrize(
    ("task", "target", "own", "key"),
    [
        ("sing", "english", None, "task"),
        ("translate", "klingon", None, "language"),
        ("own", "english", "  ", "no_prompt"),
        ("own", "english", None, "no_prompt"),
        ("raw", "english", "No clip.", "raw"),
        ("own", "english", "<|AUDIO|> alone", "raw"),
        ("raw", "english", SOUND * 2, "raw"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(task: str, target: str, own: Any, key: str):
    with pytest.raises(BatchError) as error:
        question(task, target, own, "en")
    assert error.value.key == key


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        ([" one ", "", "two"], "one two"),
        (["你好。", "再见"], "你好。再见"),
        (["你好", "hello"], "你好 hello"),
        ([], ""),
    ],
)
def test_windows_are_joined_with_a_space_but_in_chinese(texts: list[str], whole: str):
    assert joined(texts) == whole


@pytest.mark.parametrize(
    ("audio", "named", "name"),
    [
        ("/tmp/x/1.wav", None, "1.wav"),
        ("/tmp/x/1.wav", "deep/a.wav", "a.wav"),
        ("http://host/a/b.mp3?key=secret", None, "b.mp3"),
        ("data:audio/wav;base64,AAAA/BBBB", None, "clip"),
    ],
)
def test_a_row_is_called_by_its_base_name(audio: str, named: str | None, name: str):
    assert Row(audio, ASK, named=named).name == name


# Files, folders, manifests.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips, one of them deeper, and what is no clip."""
    (tmp_path / "deep").mkdir()
    for name in ("b.wav", "deep/a.wav", ".hidden.wav", "._b.wav"):
        (tmp_path / name).write_bytes(wav(tone(0.5)))
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


def test_a_folder_is_its_sounds_in_order(folder: Path):
    names = [row.named for row in collect([str(folder)], ASK)]
    assert names == [str(folder / "b.wav"), str(folder / "deep" / "a.wav")]


def test_what_is_named_is_a_row_whatever_it_is(folder: Path):
    named = [str(folder / "notes.txt"), "http://127.0.0.1:9/a.wav", str(folder / "gone.wav")]
    assert [row.named for row in collect(named, ASK)] == named


def test_nothing_is_refused(tmp_path: Path):
    with pytest.raises(BatchError, match="nothing to do"):
        collect([str(tmp_path)], ASK)


def test_manifests_say_the_same_in_json_lines_and_csv(tmp_path: Path):
    told = [{"audio": "a.wav", "prompt": 'Say "why,\nnow"', "gt": "你好, yes"}, {"audio": "b.wav"}]
    jsonl, table = tmp_path / "m.jsonl", tmp_path / "m.csv"
    jsonl.write_text("".join(json.dumps(one) + "\n\n" for one in told), encoding="utf-8")
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["audio", "gt", "prompt", "source"])
        writer.writeheader()
        writer.writerows(told)
    rows = read(jsonl, ASK, lambda audio: f"/{audio}")
    assert rows == read(table, ASK, lambda audio: f"/{audio}")
    assert rows[0] == Row("/a.wav", told[0]["prompt"], "你好, yes", "a.wav")
    assert rows[1] == Row("/b.wav", ASK, None, "b.wav")


def test_a_manifests_paths_begin_at_its_folder(folder: Path):
    manifest = folder / "deep" / "m.jsonl"
    manifest.write_text('{"audio": "a.wav"}\n{"audio": "../b.wav"}\n{"audio": "http://x/c.wav"}\n')
    paths = [row.audio for row in collect([str(manifest)], ASK)]
    assert Path(paths[1]).resolve() == folder / "b.wav"
    assert paths[::2] == [str(folder / "deep" / "a.wav"), "http://x/c.wav"]


def test_a_raw_prompt_of_a_manifest_is_checked_in_its_row(tmp_path: Path):
    manifest = tmp_path / "m.jsonl"
    lines = [{"audio": "a", "prompt": "<|AUDIO|>"}, {"audio": "b", "prompt": f"{SOUND}Words:"}]
    manifest.write_text("".join(json.dumps(one) + "\n" for one in lines))
    first, second = read(manifest, ASK, str)
    assert first.problem
    assert not second.problem
    assert second.raw


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("m.jsonl", b'{"audio": "a"}\n["b"]\n', "line"),
        ("m.jsonl", b'{"path": "a"}', "line"),
        ("m.jsonl", b'{"audio": "a"', "line"),
        ("m.jsonl", b"[" * 100_000, "line"),
        ("m.jsonl", b'{"audio": 3}', "field"),
        ("m.jsonl", b'{"audio": "a", "gt": 5}', "field"),
        ("m.jsonl", b'{"audio": " "}', "audio"),
        ("m.jsonl", "{}".encode("utf-16"), "not_text"),
        ("m.csv", b"file,gt\na,b\n", "column"),
        ("m.csv", b"", "column"),
        ("m.csv", b"audio\n" + b"a" * 200_000, "unreadable"),
        ("m.csv", b"audio,gt\n,b\n", "audio"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused_with_its_name(
    tmp_path: Path, name: str, content: bytes, key: str
):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BatchError, match=name) as error:
        read(path, ASK, str)
    assert error.value.key == key


# Scores.


@pytest.mark.parametrize(
    ("task", "pairs", "metric", "value"),
    [
        ("transcribe", [("The cat sat.", "the cat sat"), ("One, two!", "one three")], "wer", 0.2),
        ("transcribe", [("今天天气很好。", "今天天汽很好")], "cer", 1 / 6),
        ("transcribe", [("one", "")], "wer", 1.0),
        ("emotion", [("Happy", "happy."), ("sad", "angry")], "exact", 0.5),
    ],
)
def test_scores_by_hand(task: str, pairs: list[tuple[str, str]], metric: str, value: float):
    found = score(pairs, task)
    assert found
    assert (found.metric, found.rows) == (metric, len(pairs))
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize("pairs", [[], [("", "words")], [("...", "words")]])
def test_nothing_to_compare_has_no_score(pairs: list[tuple[str, str]]):
    assert score(pairs, "transcribe") is None


# What is written.


def answered(place: int, row: Row, reply: str = "yes", error: Any = None) -> Done:
    return Done(place, row, reply, 1.234, error)


def test_a_table_is_read_back_as_it_was_written():
    row = Row("/x/a.wav", 'Say "this",\nplease', "你好", "a.wav")
    failed = answered(1, row, "", BatchError("no_prompt"))
    told = [lines.as_json(one, "preview") for one in (answered(0, row, "one, two"), failed)]
    assert told[0] == {"audio": "a.wav", "prompt": row.prompt, "reply": "one, two", "gt": "你好",
                       "seconds": 1.23, "model": "preview"}  # fmt: skip
    table = csv.DictReader(io.StringIO(lines.as_csv(told).removeprefix("\ufeff"), newline=""))
    first, second = table
    assert (first["prompt"], first["reply"], first["gt"]) == (row.prompt, "one, two", "你好")
    assert "own prompt is empty" in second["error"]
    assert [json.loads(line) for line in lines.as_lines(told).splitlines()] == told


def test_a_spreadsheet_gets_no_formula():
    told = [lines.as_json(answered(0, Row("a.wav", ASK), "=1+1"), "preview")]
    assert "'=1+1" in lines.as_csv(told)


def test_an_output_that_a_kill_left_is_gone_on_with(tmp_path: Path):
    file = tmp_path / "out.jsonl"
    rows = [Row(f"/{folder}/a.wav", ASK, named=f"{folder}/a.wav") for folder in "wxyz"]
    first = Output(file, rows, "preview")
    first.add(answered(2, rows[2], "two"))
    first.add(answered(0, rows[0], "", BatchError("no_prompt")))
    with file.open("a") as half:
        half.write('{"audio": "x/a.wav", "prompt": "Tra')
    again = Output(file, rows, "preview")
    assert list(again.left) == [0, 1, 3]
    for place, row in again.left.items():
        again.add(answered(place, row, str(place)))
    again.finish()
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(one["audio"], one["reply"]) for one in told] == [
        ("w/a.wav", "0"), ("x/a.wav", "1"), ("y/a.wav", "two"), ("z/a.wav", "3"),
    ]  # fmt: skip


def test_an_output_keeps_the_lines_of_other_rows_and_models(tmp_path: Path):
    file, rows = tmp_path / "out.jsonl", [Row("a.wav", ASK)]
    other = Output(file, rows, "another/model")
    other.add(answered(0, rows[0], "theirs"))
    mine = Output(file, rows, "preview")
    assert list(mine.left) == [0]
    mine.add(answered(0, rows[0], "mine"))
    mine.finish()
    assert [json.loads(line)["reply"] for line in file.read_text().splitlines()] == [
        "theirs",
        "mine",
    ]


def test_a_file_that_is_no_output_is_left_alone(tmp_path: Path):
    file = tmp_path / "notes.jsonl"
    file.write_text("My notes.\n")
    with pytest.raises(BatchError, match="line 1"):
        Output(file, [Row("a.wav", ASK)], "preview")
    assert file.read_text() == "My notes.\n"


def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path: Path):
    with pytest.raises(BatchError, match="cannot be written"):
        Output(tmp_path / "no" / "out.jsonl", [Row("a.wav", ASK)], "preview")


def test_help_names_every_task():
    text = command.build_parser().format_help()
    assert all(task in text for task in CHOICES)
    assert all(flag in text for flag in ("--output", "--model", "--device", "--dtype", "--hub"))
