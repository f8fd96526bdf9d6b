"""A reply that breaks off: what was said stays, the page says what happened, and retry works."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.openai_server import breaking_off, saying, talking
from tests.serving import Served, serving
from tests.visitor import Visitor

pytestmark = pytest.mark.slow

BROKEN, WHOLE = [breaking_off, saying("Fine.")], [breaking_off, saying("Go on.")]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with talking(*BROKEN, *WHOLE, *BROKEN) as model:
        flags = ["--engine", "openai", "--base-url", model.url]
        with serving(tmp_path_factory.mktemp("breaking") / "log", *flags) as served:
            yield served


def test_a_reply_that_breaks_off_can_be_retried_or_left(app: Served, browser: Browser):
    visitor = Visitor(browser, app.url)
    told = visitor.chat("analysis").get_by_text("broke off in the middle of this reply")
    visitor.open("analysis")
    visitor.ask("What is that?")
    expect(told).to_be_visible()
    expect(visitor.replies("analysis")).to_have_text(["Half of"])
    assert visitor.words.input_value() == ""
    visitor.press("analysis", "Retry")
    expect(visitor.replies("analysis")).to_have_text(["Fine."])
    expect(told).to_have_count(0)
    visitor.until_done("analysis")
    visitor.ask("And now?")
    expect(told).to_be_visible()
    visitor.until_done("analysis")
    visitor.ask("Yes?")
    expect(visitor.replies("analysis")).to_have_text(["Fine.", "Half of", "Go on."])
    visitor.open("voice")
    visitor.until_done("voice")
    assert not visitor.problems
    visitor.close()


def test_a_spoken_turn_whose_reply_breaks_off_can_be_retried(app: Served, browser: Browser):
    visitor = Visitor(browser, app.url)
    visitor.record(1.5)
    told = visitor.chat("voice").get_by_text("broke off in the middle of this reply")
    expect(told).to_be_visible()
    expect(visitor.replies("voice")).to_have_text(["Half of"])
    visitor.press("voice", "Retry")
    expect(visitor.replies("voice")).to_have_text(["Fine."])
    expect(told).to_have_count(0)
    assert not visitor.problems
    visitor.close()
