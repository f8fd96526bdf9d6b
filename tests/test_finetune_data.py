"""What a manifest may hold: rows that can be learned from, and how the others are told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from transformers import AutoProcessor

from demo.audio import WINDOW_SECONDS, Clip, Ear
from demo.conversation import with_windows
from finetune import converting
from finetune.__main__ import main
from finetune.checking import Checker, Fault
from finetune.rendering import IGNORED, Conversation, Renderer, audio_parts
from tests.model_card import PREVIEW

RATE = 16_000
CONTEXT = 8192


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, int(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips beside which a manifest may lie."""
    folder = tmp_path_factory.mktemp("data")
    for name, seconds in (("one", 1.0), ("two", 2.5), ("long", 41.0)):
        soundfile.write(folder / f"{name}.flac", noise(seconds, len(name)), RATE)
    (folder / "empty.wav").touch()
    (folder / "letter.wav").write_text("Dear Sir or Madam")
    return folder


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(AutoProcessor.from_pretrained(PREVIEW))


def clip(name: str) -> dict[str, str]:
    return {"type": "audio", "audio_url": name}


def user(*parts: Any) -> dict[str, Any]:
    texts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"role": "user", "content": texts}


def says(words: str) -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def rows(
    renderer: Renderer, folder: Path, *given: object, split: bool = False
) -> tuple[list[Conversation | Fault], Checker]:
    """What the check makes of turns, or of lines where they are given as they are."""
    lines = [one if isinstance(one, str) else json.dumps({"messages": one}) for one in given]
    checker, ear = Checker(renderer, CONTEXT, split), Ear()
    return list(checker.rows(lines, lambda url: ear.hear(folder / url))), checker


TALK = [
    {"role": "system", "content": "Be brief."},
    user(clip("one.flac"), clip("two.flac"), "Which is longer?"),
    says("The second."),
    user("And by how much?"),
    says("By a second and a half, 约一秒半 🙂"),
]


def test_of_a_checked_row_only_the_assistants_words_are_learned(renderer: Renderer, folder: Path):
    (turns,), checker = rows(renderer, folder, TALK)
    assert not isinstance(turns, Fault)
    rendered = renderer.render(turns, lambda part: checker.windows[part["audio_url"]].tokens)
    learned = [label for label in rendered.labels if label != IGNORED]
    expected = "".join(
        f"{turn['content']}<|im_end|>" for turn in TALK if turn["role"] == "assistant"
    )
    assert renderer.tokenizer.decode(learned) == expected
    heard = [checker.windows[part["audio_url"]] for part in audio_parts(turns)]
    assert [window.url for window in heard] == ["one.flac", "two.flac"]
    audio = renderer.tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    assert rendered.ids.count(audio) == sum(window.tokens for window in heard)


NOTHING = [user("Hello.")]
BAD: list[tuple[object, str]] = [
    ('{"messages": [', "no JSON: Expecting value at column 15"),
    ("[1, 2]", "not an object but [1, 2]"),
    ('{"audio": "one.flac"}', 'neither "messages" nor "conversation"'),
    ('{"messages": "Hello"}', "list of turns"),
    ('{"messages": []}', "no turns"),
    (NOTHING, "the assistant says nothing in it"),
    ([*NOTHING, says("  ")], "turn 2 is the assistant's and empty"),
    ([*NOTHING, {"role": "bot", "content": "Hi"}], "role 'bot'"),
    (["Hello", says("Hi")], "Turn 1 must be an object"),
    ([says("Hi"), {"role": "system", "content": "Be brief."}], "Turn 2 is a system turn"),
    ([user({"type": "image", "url": "x"}), says("Hi")], "Turn 1 has the part"),
    ([{"role": "user", "content": 7}, says("Hi")], "Turn 1 has the content 7"),
    ([user("Hi <|im_end|>"), says("Hi")], "control token <|im_end|>"),
    ([user("Hi"), says("<|AUDIO|>")], "turn 2 has the control token <|AUDIO|>"),
    ([user("Hi \ud83d"), says("Hi")], "half a character"),
    ([user("Hi"), {"role": "assistant", "content": [clip("one.flac")]}], "Turn 2 has the part"),
    ([user(clip("gone.flac")), says("Hi")], "gone.flac"),
    ([user(clip("empty.wav")), says("Hi")], "empty.wav is empty: 0 bytes"),
    ([user(clip("letter.wav")), says("Hi")], "letter.wav is not a sound file"),
    ([user(clip("long.flac")), says("Hi")], "long.flac is 41.0 s long, and the model hears 30 s"),
    ([user("word " * 9_000), says("Hi")], "and the model takes 8192"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_row_is_told_by_its_line_and_what_is_wrong(
    renderer: Renderer, folder: Path, row: object, reason: str
):
    found, _ = rows(renderer, folder, TALK, "", row, TALK)
    assert [isinstance(one, Fault) for one in found] == [False, True, False]
    fault = found[1]
    assert isinstance(fault, Fault)
    assert fault.line == 3
    assert reason in fault.reason
    assert str(folder) not in fault.reason


def test_every_bad_row_is_named_before_anything_is_trained(folder: Path, tmp_path: Path):
    manifest = tmp_path / "train.jsonl"
    lines = [row if isinstance(row, str) else json.dumps({"messages": row}) for row, _ in BAD]
    good = [turn for turn in TALK if "audio_url" not in str(turn)]
    manifest.write_text("\n".join([json.dumps({"messages": good}), *lines]))
    words = f"--model preview --train {manifest} --output {tmp_path / 'out'} --device cpu"
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    told = str(stopped.value.code)
    assert told.startswith(f"train.jsonl: {len(BAD)} of {len(BAD) + 1} rows cannot be used.")
    for number in range(len(BAD)):
        assert f"  line {number + 2}: " in told
    assert told.endswith("Nothing was trained.")
    assert not (tmp_path / "out" / "run").exists()


def test_a_manifest_with_nothing_in_it_is_told(tmp_path: Path):
    manifest = tmp_path / "train.jsonl"
    manifest.write_text("\n\n")
    with pytest.raises(SystemExit, match=r"train\.jsonl: there is no conversation in it"):
        main(f"--model preview --train {manifest} --output {tmp_path / 'out'}".split())


def test_a_long_clip_is_heard_in_the_parts_that_the_app_hears(renderer: Renderer, folder: Path):
    talk = [user(clip("one.flac"), clip("long.flac"), "And at the end?"), says("Noise.")]
    (turns,), checker = rows(renderer, folder, talk, split=True)
    assert not isinstance(turns, Fault)
    ear = Ear()

    def hear(url: str) -> Clip:
        return ear.hear(folder / url)

    as_in_the_app, windows, _ = with_windows(talk, hear)
    assert len(windows) == 3
    assert all(len(window) <= WINDOW_SECONDS * RATE for window in windows)
    assert [len(turn["content"]) for turn in turns] == [len(t["content"]) for t in as_in_the_app]
    heard = [checker.windows[part["audio_url"]] for part in audio_parts(turns)]
    assert [(one.url, one.place) for one in heard] == [
        ("one.flac", 0), ("long.flac", 0), ("long.flac", 1)
    ]  # fmt: skip


def test_a_clip_that_was_replaced_is_another_clip(renderer: Renderer, tmp_path: Path):
    talk = [user(clip("a.wav")), says("Hi")]
    names = []
    for seed in (1, 2):
        soundfile.write(tmp_path / "a.wav", noise(1, seed), RATE)
        (turns,), _ = rows(renderer, tmp_path, talk)
        assert not isinstance(turns, Fault)
        names.append(audio_parts(turns)[0]["audio_url"])
    assert names[0] != names[1]


# -- original evaluation manifests -----------------------------------------------------------

ORIGINAL = [
    {"audio": "one.flac", "prompt": "Recognize the speech: <|en|>", "gt": "hello", "source": "x"},
    {"audio": "/far/away.wav", "gt": "bye"},
    {"audio": "https://example.com/a.wav", "prompt": converting.SOUND + "What?", "gt": 7},
]


def test_an_original_manifest_becomes_conversations(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source, result = tmp_path / "in" / "eval.jsonl", tmp_path / "out" / "train.jsonl"
    source.write_text("\n".join(map(json.dumps, ORIGINAL)) + "\n")
    main(["convert", str(source), str(result)])
    made = [json.loads(line)["messages"] for line in result.read_text().splitlines()]
    assert made == [
        [user(clip("../in/one.flac"), "Recognize the speech: <|en|>"), says("hello")],
        [user(clip("/far/away.wav")), says("bye")],
        [user(clip("https://example.com/a.wav"), "What?"), says("7")],
    ]


def test_a_row_that_cannot_be_converted_is_told_and_nothing_is_written(tmp_path: Path):
    source, result = tmp_path / "eval.jsonl", tmp_path / "train.jsonl"
    source.write_text("\n".join([json.dumps(ORIGINAL[0]), "{", '{"audio": "a.wav"}']))
    with pytest.raises(SystemExit) as stopped:
        main(["convert", str(source), str(result)])
    told = str(stopped.value.code)
    assert "2 of 3 rows" in told
    assert "  line 2: no JSON" in told
    assert '  line 3: "gt" is not in it' in told
    assert not result.exists()
