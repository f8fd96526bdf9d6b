"""The page for whoever comes, in a real browser: in Chinese, on a phone, in the dark, by keyboard.

On the real app and the preview checkpoint.
"""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.conftest import Visit
from tests.page_parts import GLASS, greedy
from tests.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 390, "height": 844}

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


def test_the_chinese_page_has_no_english_label_on_clips_and_replies(visit: Visit):
    visitor = visit(locale="zh-CN")
    visitor.open("analysis")
    visitor.attach(GLASS)
    before = labels_of(visitor)
    visitor.answer("analysis", lambda: visitor.ask("这是什么声音？"))
    labels = [*before, *labels_of(visitor)]
    assert not {"undo", "File thumbnail", "Uploaded files"} & {*labels}
    assert {"文件缩略图", "已上传的文件", "撤销"} <= {*labels}


def labels_of(visitor: Visitor) -> list[str]:
    return visitor.page.evaluate(
        """() => [...document.querySelectorAll('[aria-label], [title]')]
            .flatMap((element) => [element.getAttribute('aria-label'), element.title])
            .filter(Boolean)"""
    )


def test_the_closed_settings_show_an_arrow(visitor: Visitor):
    """Drawn by the style sheet: few fonts have Gradio's letter for it."""
    arrow = visitor.page.locator(".panel > button .icon")
    expect(arrow).to_be_visible()
    assert arrow.evaluate("(arrow) => getComputedStyle(arrow).clipPath").startswith("polygon")


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


@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 800}])
def test_an_error_pushes_the_entry_out_of_no_view(
    visit: Visit, size: dict[str, int], tmp_path: Path
):
    text = tmp_path / "notes.wav"
    text.write_text("This is only text.")
    visitor = visit(viewport=size)
    visitor.open("analysis")
    visitor.ask("What is that sound?", text)
    expect(visitor.page.get_by_role("alert").filter(has_text="notes.wav")).to_be_in_viewport(
        ratio=1
    )
    expect(visitor.page.locator("#question")).to_be_in_viewport(ratio=1)


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
