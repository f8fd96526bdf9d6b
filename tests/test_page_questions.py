"""Ways to ask on the page in a real browser, and what it says where it cannot send."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.conftest import CLIPS, Visit
from tests.model_card import ModelCard
from tests.page_parts import GLASS, KNOCKS, LONG, greedy
from tests.page_parts import analyst as analyst
from tests.sounds import write_long_wav
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def understood(visit: Visit, ask: Callable[[Visitor], str], tries: int = 3) -> bool:
    """Whether the model hears the question that the microphone plays.

    Chromium's fake one stutters where a machine has other work: then another visitor asks.
    """
    return any("three plus four" in ask(visit()).lower() for _ in range(tries))


def test_a_spoken_question_is_answered_when_the_recording_ends(visit: Visit):
    def ask(visitor: Visitor) -> str:
        greedy(visitor)
        reply = visitor.answer("voice", lambda: visitor.record(4.5))
        expect(visitor.clips("voice")).to_have_count(1)
        expect(visitor.page.locator("#recorder .record-button")).to_be_visible()
        return reply

    assert understood(visit, ask)


def test_a_recorded_question_in_the_box_is_transcribed(visit: Visit):
    def ask(visitor: Visitor) -> str:
        visitor.open("analysis")
        greedy(visitor)
        page = visitor.page
        page.locator("#question .microphone-button").click()
        page.get_by_role("button", name="Start recording").click()
        page.wait_for_timeout(4500)
        page.get_by_role("button", name="Stop recording").click()
        page.get_by_role("button", name="Attach audio").click()
        expect(page.locator("#question .thumbnail-item")).to_have_count(1)
        page.get_by_role("button", name="Transcribe").click()
        expect(visitor.words).to_have_value("Transcribe the speech.")
        return visitor.answer("analysis", lambda: visitor.words.press("Enter"))

    assert understood(visit, ask)


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


def test_each_clip_of_a_turn_shows_its_name(analyst: Visitor):
    analyst.answer("analysis", lambda: analyst.ask("Which is louder?", GLASS, KNOCKS))
    links = analyst.chat("analysis").locator(".download-link")
    expect(links).to_have_count(2)
    names = [link.get_attribute("data-name") for link in links.all()]
    assert names == [GLASS.name, KNOCKS.name]
    shown = "(link) => getComputedStyle(link, '::before').display"
    assert links.first.evaluate(shown) == "block"


def test_an_option_out_of_its_limits_is_refused_in_a_sentence(analyst: Visitor):
    analyst.set_options(top_p="7")
    analyst.ask("What is that sound?", GLASS)
    expect(analyst.page.get_by_role("alert").filter(has_text="top_p is 7")).to_be_visible()
    expect(analyst.words).to_have_value("What is that sound?")


def test_an_empty_question_is_not_sent(analyst: Visitor):
    analyst.words.press("Enter")
    expect(analyst.page.get_by_role("alert").filter(has_text="nothing to send")).to_be_visible()


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
    for _ in range(300):
        if kept_megabytes(analyst) - before >= 5:  # MB: 725 tokens of 12 KB
            break
        analyst.page.wait_for_timeout(200)
    else:
        raise AssertionError("the clip was not fed before it was sent")
    expect(analyst.words).to_have_value("")
