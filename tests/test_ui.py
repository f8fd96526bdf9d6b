"""The page's own functions, without a browser: histories, turns, options, strings."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from demo.audio import Ear
from demo.conversation import from_history
from demo.engine import EngineInfo, Load, Options
from demo.loading import Loading
from demo.messages import Message
from demo.settings import Settings
from demo.ui import history as past
from demo.ui import labels, strings, tasks
from demo.ui.batch import BATCH
from demo.ui.chat import available
from demo.ui.examples import ANALYSIS, VOICE
from demo.ui.feedback import remember
from demo.ui.options import FIELDS, options_of, read_number
from demo.ui.page import build_page
from demo.ui.panel import chosen
from demo.ui.strings import PageError
from demo.ui.turn import WORDLESS_SECONDS, Desk, Reply, paced, reply, until_ready
from tests.sounds import wav

NOTICE = Message({"n": ("Preview.", "预览。")}, "n")


class Parrot:
    """An engine that says what it was given, and notes when its work was ended."""

    info = EngineInfo("parrot", "cpu", "float32", 8192, True, Options(64, 0.7, 0.5, 20, 1.1))

    def __init__(self) -> None:
        self.ended = False

    def stream(
        self, conversation: Any, windows: Any, options: Options, user: str = ""
    ) -> Iterator[str]:
        try:
            yield from ("", f"{len(windows)} sounds, ", "", f"{len(conversation)} turns")
        finally:
            self.ended = True

    def prepare(self, conversation: Any, windows: Any) -> None: ...

    def memory(self) -> None: ...

    def load(self) -> Load:
        return Load(0, 0)

    def close(self) -> None: ...


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav())
    return str(path)


def spoken(history: past.History) -> list[str]:
    return [past.text_of(message) for message in history]


# Histories.


def test_a_send_is_its_clips_and_then_its_words(clip: str):
    turn = past.user_turn("What is that?", [clip, clip])
    assert past.paths_of(turn[:1]) == [clip, clip]
    assert spoken(turn[1:]) == ["What is that?"]
    assert len(from_history(turn)) == 1


@pytest.mark.parametrize(("words", "paths"), [("", []), ("  \n", [])])
def test_nothing_typed_and_nothing_attached_is_no_turn(words: str, paths: list[str]):
    assert past.user_turn(words, paths) == []


def test_split_finds_the_last_turn_and_the_turn_at_a_message(clip: str):
    first, second = past.user_turn("one", [clip]), past.user_turn("two", [clip])
    history = [*first, *past.said("1"), *second, *past.said("2")]
    assert past.split(history) == ([*first, *past.said("1")], second, past.said("2"))
    for index in (0, 1):
        assert past.split(history, index) == ([], first, history[2:])


def test_an_edit_keeps_the_clips_and_drops_what_came_after(clip: str):
    history = [*past.user_turn("one", [clip]), *past.said("1"), *past.user_turn("two", [])]
    changed = past.edited(history, 1, "another")
    assert past.paths_of(changed) == [clip]
    assert spoken(changed) == ["", "another"]
    assert spoken(history) == ["", "one", "1", "two"]  # not changed in place


def test_an_edit_to_nothing_leaves_the_clips_alone(clip: str):
    changed = past.edited([*past.user_turn("one", [clip]), *past.said("1")], 1, "")
    assert past.paths_of(changed) == [clip]
    assert len(changed) == 1


def test_a_turn_that_failed_is_not_told_to_the_model(clip: str):
    failed = [*past.user_turn("broken", [clip]), past.note("bad", "error")]
    history = [*past.user_turn("one", []), *past.said("1"), *failed, *past.user_turn("two", [])]
    told = past.answered_only(history)
    assert spoken(told) == ["one", "1", "two"]


def test_notes_between_a_turn_and_its_reply_keep_the_turn(clip: str):
    heard = [*past.user_turn("one", [clip]), past.note("0:38 of audio", "heard-0")]
    history = [*heard, *past.said("1"), *past.user_turn("two", [])]
    roles = [turn["role"] for turn in from_history(past.answered_only(history))]
    assert roles == ["user", "assistant", "user"]


def test_a_turn_stopped_before_its_first_word_says_so():
    history = [*past.user_turn("one", []), past.note("Waiting", "pending", pending=True)]
    settled = past.settled(history, "en")
    assert past.kind_of(settled[-1]) == "stopped"
    assert past.settled(settled, "en") == settled


def test_a_browser_keeps_the_newest_turns_within_its_limit(clip: str):
    turns = [[*past.user_turn(f"question {n}", [clip]), *past.said("x" * 200)] for n in range(20)]
    history = [message for turn in turns for message in turn]
    kept = past.kept(history, limit=3000)
    assert len(json.dumps(kept)) <= 3000
    assert kept == past.kept(history)[-len(kept) :]
    assert past.paths_of(kept[:1]) == [clip]  # a whole turn comes first


def test_what_a_browser_keeps_is_restored(clip: str):
    history = [*past.user_turn("one", [clip]), *past.said("1"), past.note("n", "error")]
    kept = json.loads(json.dumps(past.kept(history)))
    assert past.restored(kept, lambda path: True, "en") == [
        {**message, "content": message["content"]} for message in history
    ]


def test_a_clip_that_is_gone_is_marked_and_the_words_stay(clip: str):
    kept = past.kept([*past.user_turn("one", [clip]), *past.said("1")])
    shown = past.restored(kept, lambda path: False, "en")
    assert "tone.wav" in shown[0]["metadata"]["title"]
    assert spoken(shown) == ["", "one", "1"]
    assert past.paths_of(shown) == []


def test_only_a_file_that_was_sent_to_the_page_comes_back(clip: str):
    assert not available(clip)
    assert not available("/etc/passwd")
    folder = Path(get_upload_folder())
    assert not available(str(folder / ".." / "somewhere.wav"))
    folder.mkdir(parents=True, exist_ok=True)
    sent = folder / f"sent-{time.time_ns()}.wav"
    sent.write_bytes(wav())
    try:
        assert available(str(sent))
    finally:
        sent.unlink()


# A turn.


def test_a_reply_grows_and_ends_with_the_whole(clip: str):
    engine = Parrot()
    history = past.user_turn("What?", [clip])
    texts = [now.text for now in reply(history, None, Options(), Desk(engine, Ear()))]
    assert texts == ["", "1 sounds, ", "1 sounds, ", "1 sounds, 1 turns"]
    assert engine.ended


def test_closing_a_reply_ends_the_engines_work(clip: str):
    engine = Parrot()
    replies = reply(past.user_turn("", [clip]), None, Options(), Desk(engine, Ear()))
    next(replies)
    next(replies)
    replies.close()  # type: ignore[attr-defined]
    assert engine.ended


def test_a_system_prompt_is_a_turn_of_its_own(clip: str):
    desk = Desk(Parrot(), Ear())
    *_, last = reply(past.user_turn("", [clip]), "Be brief.", Options(), desk)
    assert last.text == "1 sounds, 2 turns"


def test_a_turn_waits_for_an_engine_that_is_on_its_way():
    gate = threading.Event()

    def load(report: Any) -> Parrot:
        gate.wait(30)
        return Parrot()

    loading = Loading(load).start()
    waiting = until_ready(loading)
    assert next(waiting).phase != "ready"
    gate.set()
    loading.wait(30)
    assert list(waiting) == []


def test_pacing_drops_only_what_follows_too_soon():
    fast = [Reply(str(n), ()) for n in range(1000)]
    shown = list(paced(fast, per_second=1))
    assert (shown[0].text, shown[-1].text) == ("0", "999")
    assert len(shown) < 10

    def slow() -> Iterator[Reply]:
        for one in fast[:3]:
            yield one
            time.sleep(0.03)

    assert [one.text for one in paced(slow(), per_second=50)][:3] == ["0", "1", "2"]


def test_a_note_that_there_is_no_word_yet_gives_way_to_a_word_that_comes_soon():
    soon = [Reply("", ()), Reply("", ()), Reply("first", ()), Reply("second", ())]
    assert [one.text for one in paced(soon, per_second=1)] == ["first", "second"]

    def late() -> Iterator[Reply]:
        yield Reply("", ())
        time.sleep(2 * WORDLESS_SECONDS)
        yield Reply("", (), ahead=1)
        yield Reply("first", ())

    assert [(one.text, one.ahead) for one in paced(late())][:2] == [("", 1), ("first", 0)]


# Options, strings, prompts, feedback.


def test_empty_fields_are_the_models_own_defaults():
    assert chosen("", *[""] * len(FIELDS)) == ("", Options())
    assert chosen(None, "8", "0", None, "", "", "7")[1] == Options(8, 0.0, None, None, None, 7)


@pytest.mark.parametrize("values", [
    {"temperature": -1}, {"top_p": 0}, {"top_k": 0}, {"max_new_tokens": 0}, {"top_p": "half"},
    {"temperature": float("nan")}, {"seed": -1}, {"max_new_tokens": True},
])  # fmt: skip
def test_an_option_out_of_its_limits_names_itself(values: dict[str, Any]):
    with pytest.raises(PageError) as raised:
        options_of(**values)
    (name,) = values
    assert name in str(raised.value)


def test_what_is_no_number_stays_what_was_typed():
    assert read_number("half") == "half"
    assert read_number(" 0.5 ") == 0.5
    assert read_number("") is None


def test_every_sentence_and_label_is_there_in_both_languages():
    pairs = [*strings.SENTENCES.values(), *labels.TEXTS.values(), *tasks.PROMPTS.values()]
    assert all(english.strip() and chinese.strip() for english, chinese in pairs)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_forced_language_is_every_browsers(language: str):
    translations = strings.i18n(Settings(language=language)).translations
    place = ("en", "zh").index(language)
    for texts in translations.values():
        assert texts["voice_tab"] == labels.TEXTS["voice_tab"][place]


def test_a_task_is_asked_in_the_visitors_language():
    assert tasks.prompt("translate", "french", "en") == "Translate the speech into French."
    assert tasks.prompt("translate", "french", "zh") == "请把这段语音翻译成法语。"


@pytest.mark.parametrize("example", [*VOICE, *ANALYSIS], ids=lambda example: example.key)
def test_every_examples_clips_are_installed(example: Any):
    assert example.installed()


def test_a_like_is_one_line_without_the_sound(tmp_path: Path, clip: str):
    file = tmp_path / "some" / "likes.jsonl"
    history = [*past.user_turn("What?", [clip]), past.note("n", "heard-0"), *past.said("A tone.")]
    remember(file, "analysis", history, True)
    remember(file, "analysis", history, False)
    first, second = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (first["mark"], second["mark"]) == ("like", "dislike")
    assert [turn["text"] for turn in first["conversation"]] == ["", "What?", "A tone."]
    assert first["conversation"][0]["clips"] == ["tone.wav"]


# The page as a whole.


def built(settings: Settings) -> gr.Blocks:
    """The page; made within an event loop, or Gradio opens one of its own and leaves it open."""

    async def build() -> gr.Blocks:
        return build_page(Loading.of(Parrot()), Ear(), settings, NOTICE)

    return asyncio.run(build())


@pytest.fixture
def page() -> gr.Blocks:
    return built(Settings())


def test_nothing_but_batches_waits_in_gradios_queue(page: gr.Blocks):
    """Whose turn is next is the engine's to say, which knows the users."""
    queued = [fn for fn in page.fns.values() if fn.queue and fn.concurrency_id != BATCH]
    assert len(queued) > 4  # the ways to send a turn, /chat and /generate
    assert {fn.concurrency_limit for fn in queued} == {None}


def test_batches_have_a_line_of_their_own(page: gr.Blocks):
    """A long one must not close the chat's line: the engine lets others in between."""
    users = [fn for fn in page.fns.values() if fn.concurrency_id == BATCH]
    assert len(users) == 2  # the tab and /batch
    assert all(isinstance(fn.concurrency_limit, int) for fn in users)
    assert min(int(fn.concurrency_limit or 0) for fn in users) > 1


def test_the_api_is_chat_generate_and_batch(page: gr.Blocks):
    assert set(page.get_api_info()["named_endpoints"]) == {"/batch", "/chat", "/generate"}


def test_likes_are_off_unless_the_host_names_a_file(page: gr.Blocks, tmp_path: Path):
    liked = built(Settings(feedback_file=tmp_path / "likes.jsonl"))

    def events(blocks: gr.Blocks) -> int:
        return sum(target[1] == "like" for fn in blocks.fns.values() for target in fn.targets)

    assert (events(page), events(liked)) == (0, 2)
