"""A conversation on the page in a real browser: stopped, made anew, edited, kept, cleared."""

import json
import re
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.conftest import Visit
from tests.crowd_parts import HELLO, join, numbers
from tests.page_parts import GLASS, KNOCKS, LONG, greedy
from tests.page_parts import analyst as analyst
from tests.serving import Served, until
from tests.test_hosting import number
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Without chance: what has no end in sight is some hundreds of tokens.
AT_GREAT_LENGTH = {"temperature": "0", "repetition_penalty": "5", "max_new_tokens": "4000"}
AT_LENGTH = (200, 0, None, None, 5, None)  # without chance: what has no end in sight is cut
OTHERS = 8
KEEPS_NOTHING = 'localStorage["qwen2-audio-analysis"].length < 100'  # an empty list, ciphered


def stopped_midway(analyst: Visitor) -> str:
    """Stops a long reply at its first words; what had been said by then."""
    analyst.set_options(**AT_GREAT_LENGTH)
    analyst.stop_at_words("analysis")
    analyst.answer("analysis", lambda: analyst.ask("Count to a thousand.", LONG))
    analyst.until_told()
    analyst.until_drawn()
    return analyst.replies("analysis").last.inner_text()


def test_stop_ends_the_reply_and_the_next_question_is_answered_at_once(
    analyst: Visitor, served: Served
):
    until(lambda: quiet(served))
    asked = len(heard(served))
    before = stopped_midway(analyst)
    until(lambda: len(heard(served)) > asked)
    assert heard(served)[-1][1] == "stopped"
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
    analyst.page.wait_for_function(KEEPS_NOTHING)
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


def last_line(file: Path) -> str:
    """Of a file that the app writes soon."""
    until(lambda: file.is_file() and file.stat().st_size > 0)
    return file.read_text(encoding="utf-8").splitlines()[-1]


def test_a_like_is_kept_where_the_host_named_a_file(analyst: Visitor, served: Served):
    likes = served.log_file.parent / "likes.jsonl"
    likes.unlink(missing_ok=True)
    greedy(analyst, longest=8)
    reply = analyst.answer("analysis", lambda: analyst.ask("What is that sound?", GLASS))
    analyst.press("analysis", "Like")
    line = json.loads(last_line(likes))
    assert line["mark"] == "like"
    assert line["tab"] == "analysis"
    assert line["conversation"][0]["clips"] == [GLASS.name]
    assert line["conversation"][-1]["text"].strip() == reply


def crowd(served: Served, others: int = OTHERS) -> None:
    """Others ask first, each as a page of its own, for replies that take a second or so."""
    for other in range(others):
        ask_at_length(served, 1, f"other{other}")


def ask_at_length(served: Served, times: int, page: str) -> None:
    join(served, HELLO, times, page, options=AT_LENGTH)


def heard(served: Served) -> list[tuple[str, str]]:
    """How many pieces the requests with a clip have got, and how they ended."""
    return re.findall("clips=1 .* pieces=(.*) outcome=(.*)", served.log)


def quiet(served: Served) -> bool:
    return sum(number(numbers(served), f"demo_{what}") for what in ("waiting", "running")) == 0


def test_a_visitor_is_told_the_place_in_the_queue(visit: Visit, served: Served):
    visitor = visit(locale="zh-CN")
    visitor.open("analysis")
    greedy(visitor, longest=8)
    visitor.attach(GLASS)
    crowd(served, OTHERS // 2)  # their replies are waited for
    visitor.ask("这是什么声音？")
    expect(visitor.chat("analysis")).to_contain_text(re.compile(r"前面还有 \d+ 个请求"))
    visitor.until_done("analysis")
    expect(visitor.replies("analysis")).to_have_count(1)


def test_a_user_with_many_requests_holds_up_nobody(served: Served):
    other = Client(served.url, verbose=False)
    ask_at_length(served, 8, "greedy")
    other.predict(HELLO, max_new_tokens=4, api_name="/generate")
    assert number(numbers(served), "demo_waiting") >= 1  # those of before are still in line
    until(lambda: quiet(served))


def test_a_page_that_is_closed_leaves_the_queue(visit: Visit, served: Served):
    visitor = visit()
    visitor.open("analysis")
    visitor.attach(GLASS)
    before = len(heard(served))
    crowd(served)
    visitor.ask("What is that sound?")
    expect(visitor.chat("analysis")).to_contain_text(re.compile(r"with \d+ before you"))
    visitor.page.close()
    until(lambda: len(heard(served)) != before)
    assert heard(served)[before:] == [("0", "stopped")]
    assert not quiet(served)  # its turn had not come
