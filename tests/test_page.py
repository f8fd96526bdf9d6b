"""The page in a real browser, on the real app and the preview checkpoint."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from gradio_client import Client
from playwright.sync_api import TimeoutError, expect

from tests.conftest import CLIPS, Visit
from tests.model_card import ModelCard
from tests.serving import Served
from tests.sounds import write_long_wav
from tests.visitor import PATIENCE, Visitor

pytestmark = pytest.mark.browser

GLASS = CLIPS / "glass-breaking.flac"
KNOCKS = CLIPS / "four-knocks.flac"
LONG = CLIPS / "long-message.ogg"
ENDLESS = {"temperature": "5", "top_p": "1", "top_k": "1000", "max_new_tokens": "4000"}
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def analyst(visitor: Visitor) -> Visitor:
    """A visitor at the audio analysis tab."""
    visitor.open("analysis")
    return visitor


def greedy(visitor: Visitor, longest: int = 48) -> None:
    """Sampling off, so that a reply can be made twice; and no longer than a test can wait."""
    visitor.set_options(temperature="0", max_new_tokens=str(longest))


def test_a_spoken_question_is_answered_when_the_recording_ends(visitor: Visitor):
    greedy(visitor)
    reply = visitor.answer("voice", lambda: visitor.record(3.5))
    assert "three plus four" in reply.lower()
    expect(visitor.clips("voice")).to_have_count(1)
    expect(visitor.page.locator("#recorder .record-button")).to_be_visible()


def test_a_recorded_question_in_the_box_is_transcribed(analyst: Visitor):
    greedy(analyst)
    page = analyst.page
    page.locator("#question .microphone-button").click()
    page.get_by_role("button", name="Start recording").click()
    page.wait_for_timeout(3500)
    page.get_by_role("button", name="Stop recording").click()
    page.get_by_role("button", name="Attach audio").click()
    expect(page.locator("#question .thumbnail-item")).to_have_count(1)
    page.get_by_role("button", name="Transcribe").click()
    expect(analyst.words).to_have_value("Transcribe the speech.")
    reply = analyst.answer("analysis", lambda: analyst.words.press("Enter"))
    assert "three plus four" in reply.lower()


def heard(*clips: Path, words: str = "") -> dict[str, Any]:
    """A user's turn of the model card's conversation."""
    parts = [{"type": "audio", "audio_url": str(clip)} for clip in clips]
    return {
        "role": "user",
        "content": [*parts, *([{"type": "text", "text": words}] if words else [])],
    }


def test_two_files_and_a_question_about_the_first(analyst: Visitor, card: ModelCard):
    greedy(analyst)
    asked = "What was the first sound?"
    reply = analyst.answer("analysis", lambda: analyst.ask(asked, GLASS, KNOCKS))
    assert reply == card.reply([heard(GLASS, KNOCKS, words=asked)])
    expect(analyst.clips("analysis")).to_have_count(2)


def test_a_file_dropped_on_the_voice_tab_is_a_turn(visitor: Visitor, card: ModelCard):
    greedy(visitor)
    drop = visitor.page.locator("#voice-files input[type=file]")
    clip = CLIPS / "voice-chat-capital.flac"
    reply = visitor.answer("voice", lambda: drop.set_input_files(clip))
    assert reply == card.reply([heard(clip)])


def test_an_example_is_one_click_and_plays_all_its_turns(analyst: Visitor):
    greedy(analyst, longest=24)
    analyst.answer(
        "analysis", lambda: analyst.page.get_by_role("button", name="A sound, then a voice").click()
    )
    expect(analyst.replies("analysis")).to_have_count(2)
    expect(analyst.clips("analysis")).to_have_count(2)


def test_long_audio_is_heard_in_parts_and_the_page_says_so(analyst: Visitor):
    greedy(analyst, longest=4)
    analyst.answer("analysis", lambda: analyst.ask("Transcribe the speech.", LONG))
    expect(analyst.chat("analysis")).to_contain_text("0:38 of audio, heard as 2 parts")


def stopped_midway(analyst: Visitor) -> str:
    """Stops a long reply after its first words; what had been said by then.

    A reply drawn almost at random seldom ends soon, but may: then it is asked for again.
    """
    stop = analyst.page.locator("#analysis-stop")
    analyst.set_options(**ENDLESS)
    for _ in range(5):
        analyst.ask("Describe what you hear.", LONG)
        expect(analyst.replies("analysis")).to_have_count(1, timeout=PATIENCE)
        with suppress(TimeoutError):
            stop.click(timeout=500)
            analyst.until_done("analysis")
            analyst.page.wait_for_timeout(500)  # what was on its way to the page has come by then
            return analyst.replies("analysis").last.inner_text()
        analyst.press("analysis", "Clear")
    raise AssertionError("five replies ended before they could be stopped")


def test_stop_ends_the_reply_and_the_next_question_is_answered_at_once(analyst: Visitor):
    before = stopped_midway(analyst)
    analyst.page.wait_for_timeout(1000)
    assert analyst.replies("analysis").last.inner_text() == before
    for mark in analyst.page.get_by_text("Error", exact=True).all():  # Gradio's, now and then
        assert not mark.is_visible()
    analyst.set_options(max_new_tokens="4")
    analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS))
    expect(analyst.replies("analysis")).to_have_count(2)


def test_retry_answers_the_same_turn_again(analyst: Visitor):
    greedy(analyst, longest=16)
    first = analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS))
    again = analyst.answer("analysis", lambda: analyst.press("analysis", "Retry"))
    assert again == first
    expect(analyst.replies("analysis")).to_have_count(1)


def test_an_edited_turn_keeps_its_clips(analyst: Visitor):
    greedy(analyst, longest=16)
    analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS, KNOCKS))
    chat = analyst.chat("analysis")
    analyst.press("analysis", "Edit")
    chat.locator("textarea").fill("How many knocks are there?")
    analyst.answer("analysis", lambda: analyst.press("analysis", "Submit"))
    expect(analyst.clips("analysis")).to_have_count(2)
    expect(chat).to_contain_text("How many knocks are there?")
    expect(chat).not_to_contain_text("What is that sound?")
    expect(analyst.replies("analysis")).to_have_count(1)


def test_undo_puts_the_turn_back_into_the_box(analyst: Visitor):
    greedy(analyst, longest=8)
    analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS))
    analyst.press("analysis", "Undo")
    expect(analyst.words).to_have_value("What is that sound?")
    expect(analyst.page.locator("#question .thumbnail-item")).to_have_count(1)
    expect(analyst.said("analysis")).to_have_count(0)


def test_clear_empties_the_conversation_for_good(analyst: Visitor):
    greedy(analyst, longest=8)
    analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS))
    analyst.press("analysis", "Clear")
    expect(analyst.said("analysis")).to_have_count(0)
    analyst.page.wait_for_timeout(500)
    analyst.page.reload()
    analyst.wait()
    analyst.open("analysis")
    expect(analyst.page.get_by_text("Ask about a sound")).to_be_visible()


def test_a_reload_keeps_each_tabs_conversation(analyst: Visitor):
    greedy(analyst, longest=8)
    reply = analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS))
    analyst.page.wait_for_timeout(500)
    analyst.page.reload()
    analyst.wait()
    expect(analyst.said("voice")).to_have_count(0)
    analyst.open("analysis")
    expect(analyst.replies("analysis")).to_have_count(1)
    assert analyst.replies("analysis").inner_text().strip() == reply
    expect(analyst.clips("analysis")).to_have_count(1)


def test_two_visitors_do_not_see_each_other(visit: Visit):
    first, second = visit(), visit()
    for one in (first, second):
        one.open("analysis")
    greedy(first, longest=8)
    first.answer("analysis", lambda: first.ask("What is that sound?", GLASS))
    expect(second.said("analysis")).to_have_count(0)


def test_a_file_that_is_no_sound_is_named_and_nothing_typed_is_lost(
    analyst: Visitor, tmp_path: Path
):
    text = tmp_path / "notes.wav"
    text.write_text("This is only text.\n" * 20)
    analyst.ask("What is that sound?", text)
    problem = analyst.page.get_by_role("alert").filter(has_text="notes.wav")
    expect(problem).to_be_visible()
    expect(analyst.words).to_have_value("What is that sound?")
    expect(analyst.page.locator("#question .thumbnail-item")).to_have_count(1)
    expect(analyst.said("analysis")).to_have_count(0)


def test_an_option_out_of_its_limits_is_refused_in_a_sentence(analyst: Visitor):
    analyst.set_options(top_p="7")
    analyst.ask("What is that sound?", GLASS)
    expect(analyst.page.get_by_role("alert").filter(has_text="top_p is 7")).to_be_visible()
    expect(analyst.words).to_have_value("What is that sound?")


def test_an_empty_question_is_not_sent(analyst: Visitor):
    analyst.words.press("Enter")
    expect(analyst.page.get_by_role("alert").filter(has_text="nothing to send")).to_be_visible()


def test_a_like_is_kept_where_the_host_named_a_file(analyst: Visitor, served: Served):
    likes = served.log_file.parent / "likes.jsonl"
    greedy(analyst, longest=8)
    reply = analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS))
    analyst.press("analysis", "Like")
    analyst.page.wait_for_timeout(1000)
    line = json.loads(likes.read_text(encoding="utf-8").splitlines()[-1])
    assert line["mark"] == "like"
    assert line["tab"] == "analysis"
    assert line["conversation"][0]["clips"] == [GLASS.name]
    assert line["conversation"][-1]["text"].strip() == reply


def test_a_visitor_is_told_the_place_in_the_queue(visit: Visit, served: Served):
    visitor = visit(locale="zh-CN")
    visitor.open("analysis")
    clients = [Client(served.url, verbose=False) for _ in range(4)]
    long = [{"role": "user", "content": "Tell me everything."}]
    endless: dict[str, Any] = {name: float(value) for name, value in ENDLESS.items()}
    jobs = [client.submit(long, **endless, api_name="/generate") for client in clients]
    visitor.ask("这是什么声音？", GLASS)
    # One reply is being made, the others' come before this visitor's.
    expect(visitor.chat("analysis")).to_contain_text(re.compile("前面还有 [1-4] 个"))
    for job in jobs:
        job.cancel()
    visitor.until_done("analysis")
    expect(visitor.replies("analysis")).to_have_count(1)


NAMES = re.compile(
    r"Qwen2?-?Audio|Qwen/\S+|preview|python app\.py( --?\S+)*|GPU|GB|MB|API|MCP|cpu|cuda|float32|"
    r"bfloat16|top-[pk]|Fake \S+ Audio Input|Fake Audio Input \d|https?|--\S+|\S+\.pem|Markdown|"
    r"You are a helpful assistant\."
)


def english_words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", NAMES.sub(" ", text))


@pytest.mark.parametrize("tab", ["voice", "analysis"])
def test_the_chinese_page_has_no_english_word(visit: Visit, tab: str):
    visitor = visit(locale="zh-CN")
    visitor.open(tab)
    visitor.page.get_by_role("button", name="设置").first.click()
    visitor.page.locator(".model summary").click()
    assert english_words(visitor.page.locator("body").inner_text()) == []
    labels = visitor.page.evaluate(
        """() => [...document.querySelectorAll('[aria-label], [title], [placeholder]')]
            .filter((element) => element.checkVisibility())
            .flatMap((element) => [element.ariaLabel, element.title, element.placeholder])
            .filter(Boolean).join('\\n')"""
    )
    assert english_words(labels) == []


def test_a_chinese_visitor_gets_chinese_prompts_and_errors(visit: Visit, tmp_path: Path):
    visitor = visit(locale="zh-CN")
    visitor.open("analysis")
    visitor.page.get_by_role("button", name="转写").click()
    expect(visitor.words).to_have_value("请将这段语音转写成文字。")
    text = tmp_path / "notes.wav"
    text.write_text("This is only text.\n" * 20)
    visitor.ask("这是什么声音？", text)
    problem = visitor.page.get_by_role("alert").filter(has_text="notes.wav")
    expect(problem).to_be_visible()
    assert re.search(r"[\u4e00-\u9fff]", problem.inner_text())


@pytest.mark.parametrize("tab", ["voice", "analysis"])
def test_a_phone_never_scrolls_sideways(visit: Visit, tab: str):
    visitor = visit(viewport=PHONE, is_mobile=True, has_touch=True)
    visitor.open(tab)
    visitor.page.get_by_role("button", name="Settings").first.click()
    width = visitor.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


def test_the_page_is_dark_where_the_visitor_wants_it_dark(visit: Visit):
    visitor = visit(color_scheme="dark")
    colour = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", colour)[:3]) < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(visit: Visit, scheme: str):
    visitor = visit(color_scheme=scheme)
    faults = serious(visitor)
    visitor.open("analysis")
    greedy(visitor, longest=8)
    visitor.answer("analysis", lambda: visitor.ask("What is that sound?", GLASS))
    assert faults + serious(visitor) == []


def serious(visitor: Visitor) -> list[str]:
    found = Axe().run(visitor.page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def test_the_microphone_can_be_worked_by_keyboard_alone(visitor: Visitor):
    greedy(visitor, longest=8)
    button = visitor.page.locator("#recorder .record-button")
    button.focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#recorder .stop-button")).to_be_visible()
    visitor.page.wait_for_timeout(1500)
    visitor.page.locator("#recorder .stop-button").focus()
    visitor.page.keyboard.press("Enter")
    visitor.until_done("voice")
    expect(visitor.clips("voice")).to_have_count(1)
    expect(button).to_be_focused()


def test_a_page_over_plain_http_says_why_the_microphone_is_off(visit: Visit):
    visitor = visit()
    visitor.page.add_init_script(
        "Object.defineProperty(window, 'isSecureContext', { get: () => false })"
    )
    visitor.page.reload()
    expect(visitor.page.get_by_text("--ssl-certfile")).to_be_visible()
    expect(visitor.page.locator("#recorder")).to_be_hidden()


def kept_megabytes(analyst: Visitor) -> int:
    """What the settings say that conversations take, after opening them anew."""
    panel = analyst.page.locator(".panel > button")
    if analyst.page.locator("#memory").is_visible():
        panel.click()
    panel.click()
    told = re.compile(r"cpu: \d+ MB for the weights, .* (\d+) MB of [\d.]+ GB for conversations")
    memory = analyst.page.locator("#memory")
    expect(memory).to_contain_text(told)
    found = told.search(memory.inner_text())
    assert found
    return int(found[1])


def test_a_clip_is_heard_while_its_question_is_still_typed(analyst: Visitor, tmp_path: Path):
    clip = tmp_path / "half a minute.wav"
    with clip.open("wb") as file:
        write_long_wav(file, 29)
    before = kept_megabytes(analyst)
    analyst.attach(clip)
    for _ in range(50):
        if kept_megabytes(analyst) - before >= 5:  # MB: 725 tokens of 12 KB
            break
        analyst.page.wait_for_timeout(200)
    else:
        raise AssertionError("the clip was not fed before it was sent")
    expect(analyst.words).to_have_value("")
