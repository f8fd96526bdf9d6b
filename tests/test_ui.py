"""The page's own functions, without a browser: options, strings, prompts, feedback, events."""

import asyncio
import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from demo.audio import Ear
from demo.engine import Options
from demo.loading import Loading
from demo.messages import Language, Message
from demo.settings import Settings
from demo.ui import history as past
from demo.ui import labels, strings, tasks
from demo.ui.examples import ANALYSIS, VOICE
from demo.ui.feedback import remember
from demo.ui.options import FIELDS, options_of, read_number
from demo.ui.page import build_page
from demo.ui.panel import chosen
from demo.ui.replies import numbered
from demo.ui.strings import PageError
from tests.ui_parts import Parrot

NOTICE = Message({"n": ("Preview.", "预览。")}, "n")


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


@pytest.mark.parametrize("name", ["max_new_tokens", "top_k", "seed"])
def test_a_part_of_a_token_is_refused(name: str):
    with pytest.raises(PageError, match=rf"{name} is 1\.5; it must be a whole number"):
        options_of(**{name: 1.5})
    assert getattr(options_of(**{name: 2.0}), name) == 2


def test_what_is_no_number_stays_what_was_typed():
    assert read_number("half") == "half"
    assert read_number(" 0.5 ") == 0.5
    assert read_number("") is None


def test_every_sentence_and_label_is_there_in_both_languages():
    pairs = [*strings.SENTENCES.values(), *labels.TEXTS.values(), *tasks.PROMPTS.values()]
    assert all(english.strip() and chinese.strip() for english, chinese in pairs)


@pytest.mark.parametrize(("language", "told"), [
    ("en", "It failed. (request 1a2b3c4d)"),
    ("zh", "It failed.（请求 1a2b3c4d）"),  # wide brackets bring their own space
])  # fmt: skip
def test_an_error_has_its_requests_id_behind_it(language: Language, told: str):
    error = ValueError()
    assert numbered("It failed.", error, language) == "It failed."
    error.request_id = "1a2b3c4d"  # pyright: ignore[reportAttributeAccessIssue]
    assert numbered("It failed.", error, language) == told


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


def test_nothing_waits_in_gradios_queue(page: gr.Blocks):
    """Whose turn is next is the engine's to say, which knows the users."""
    queued = [fn for fn in page.fns.values() if fn.queue]
    assert len(queued) > 6  # the ways to send a turn, the batch tab, /chat, /generate, /batch
    assert {fn.concurrency_limit for fn in queued} == {None}


def test_the_api_is_chat_generate_and_batch(page: gr.Blocks):
    assert set(page.get_api_info()["named_endpoints"]) == {"/batch", "/chat", "/generate"}


def test_likes_are_off_unless_the_host_names_a_file(page: gr.Blocks, tmp_path: Path):
    liked = built(Settings(feedback_file=tmp_path / "likes.jsonl"))

    def events(blocks: gr.Blocks) -> int:
        return sum(target[1] == "like" for fn in blocks.fns.values() for target in fn.targets)

    assert (events(page), events(liked)) == (0, 2)
