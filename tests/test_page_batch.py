"""The batch tab in a real browser, on the real app and the preview checkpoint."""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Download, Locator, expect

from tests.conftest import CLIPS, Visit
from tests.model_card import ModelCard
from tests.sounds import tone, wav
from tests.test_page import PHONE, english_words, serious
from tests.visitor import PATIENCE, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# A machine may answer the rest between two looks at the page.
TELLS = """() => {
  window.told = "";
  new MutationObserver(() => {
    window.told += document.querySelector(".batch-progress")?.textContent + "\\n";
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""

STOP_AT_REPLIES = """() => new MutationObserver((_, observer) => {
  if (!document.querySelector(".batch-table td:nth-of-type(2):not(.quiet)")) return;
  observer.disconnect();
  document.querySelector("#batch-stop").click();
}).observe(document.body, { childList: true, attributes: true, subtree: true })"""

GLASS, KNOCKS = CLIPS / "glass-breaking.flac", CLIPS / "four-knocks.flac"
# columns of a manifest, kinds of files, the file that is sent
NO_WORDS = {"audio", "prompt", "gt", "jsonl", "csv", "tsv", "CSV", "JSON", "Lines", "notes", "KB",
            "wav", "mp", "flac", "ogg", "opus", "aac", "webm", "aiff", "amr", "mov",
            "mkv"}  # fmt: skip


class Batcher:
    """A visitor at the batch tab."""

    def __init__(self, visitor: Visitor, longest: int = 4) -> None:
        self.visitor, self.page = visitor, visitor.page
        visitor.set_options(max_new_tokens=str(longest))
        visitor.open("batch")

    def rows(self) -> Locator:
        return self.page.locator(".batch-table tbody tr")

    def replies(self) -> list[str]:
        """What stands in the rows that are done, their failures too."""
        return self.rows().locator("td:nth-of-type(2):not(.quiet)").all_inner_texts()

    def send(self, *files: Path) -> None:
        self.page.locator("#batch-files input[type=file]").set_input_files(list(files))
        expect(self.page.locator("#batch-files .file")).to_have_count(len(files))

    def choose(self, task: str) -> None:
        self.page.locator("#batch-task input").click()
        self.page.get_by_role("option", name=task, exact=True).click()

    def start(self) -> None:
        self.page.locator("#batch-start").click()
        expect(self.rows().first).to_be_visible()

    def until_all(self) -> None:
        expect(self.page.locator("#batch-start")).to_be_visible(timeout=2 * PATIENCE)

    def download(self, kind: str) -> Path:
        with self.page.expect_download() as coming:
            self.page.locator(f"#batch-{kind}").click()
        download: Download = coming.value
        assert download.suggested_filename == f"replies.{kind}"
        return Path(download.path())


@pytest.fixture
def batcher(visitor: Visitor) -> Batcher:
    return Batcher(visitor, longest=12)


def expected(card: ModelCard, clip: Path, asked: str) -> str:
    parts = [{"type": "audio", "audio_url": str(clip)}, {"type": "text", "text": asked}]
    return card.reply([{"role": "user", "content": parts}], 12).strip()


def test_a_manifest_is_answered_scored_and_downloaded(
    batcher: Batcher, card: ModelCard, tmp_path: Path
):
    manifest, text = tmp_path / "manifest.csv", tmp_path / "notes.wav"
    asked, own = "What is that sound?", "How many knocks are there?"
    glass = expected(card, GLASS, asked)
    text.write_text("This is only text.\n" * 20)
    manifest.write_text(
        f'audio,prompt,gt\nx/{GLASS.name},,"{glass}"\n{text.name},,\n{KNOCKS.name},{own},seven\n'
    )
    batcher.send(manifest, GLASS, text, KNOCKS)
    batcher.choose("What is that sound?")
    batcher.start()
    batcher.until_all()
    first, failed, third = batcher.replies()
    assert (first, third) == (glass, expected(card, KNOCKS, own))
    assert "notes.wav" in failed
    expect(batcher.page.locator(".batch-progress")).to_contain_text("3 of 3 done · 1 failed")
    expect(batcher.page.locator("#batch-score")).to_contain_text("Equal replies: 50.0% of 2 clips")
    told = [json.loads(line) for line in batcher.download("jsonl").read_text("utf-8").splitlines()]
    assert [one["reply"] for one in told] == [glass, "", third]
    with batcher.download("csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert [one["audio"] for one in table] == [f"x/{GLASS.name}", text.name, KNOCKS.name]
    assert "notes.wav" in table[1]["error"]


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """A folder of many clips, and what is no clip."""
    folder = tmp_path / "tones"
    folder.mkdir()
    for number in range(24):
        (folder / f"{number:02}.wav").write_bytes(wav(tone(4.0, hz=200 + 30 * number)))
    (folder / "notes.txt").write_text("none")
    return folder


def test_a_dropped_folder_is_its_sounds(batcher: Batcher, tones: Path):
    box = batcher.page.locator("#batch-files").bounding_box()
    assert box
    devtools = batcher.page.context.new_cdp_session(batcher.page)
    data = {"items": [], "files": [str(tones)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})
    expect(batcher.page.locator("#batch-files .file")).to_have_count(24)


def test_more_files_join_those_that_are_there(batcher: Batcher):
    batcher.send(GLASS)
    batcher.page.locator(".batch-small input[multiple]").set_input_files(KNOCKS)
    expect(batcher.page.locator("#batch-files .file")).to_have_count(2)


def test_stop_keeps_what_is_done_and_go_on_does_the_rest(batcher: Batcher, tones: Path):
    page = batcher.page
    page.locator(".batch-small input[webkitdirectory]").set_input_files(tones)
    expect(page.locator("#batch-files .file")).to_have_count(24)
    page.evaluate(STOP_AT_REPLIES)
    batcher.start()
    expect(page.locator("#batch-go-on")).to_be_visible()
    expect(page.locator(".batch-progress")).to_contain_text("stopped")
    kept = batcher.replies()
    assert 0 < len(kept) < 24
    page.wait_for_timeout(1000)
    assert batcher.replies() == kept
    expect(page.locator("#batch-jsonl")).to_be_visible()
    page.evaluate(TELLS)
    page.locator("#batch-go-on").click()
    expect(page.locator(".batch-progress")).to_contain_text("24 of 24 done")
    batcher.until_all()
    assert re.search("about .* left", page.evaluate("window.told"))
    assert len(batcher.replies()) == 24
    expect(page.locator("#batch-go-on")).to_have_count(0)


def test_nothing_sent_is_told_in_a_sentence(batcher: Batcher):
    batcher.page.locator("#batch-start").click()
    expect(batcher.page.get_by_role("alert").filter(has_text="nothing to do")).to_be_visible()


def test_a_raw_prompt_can_be_seen_and_changed(batcher: Batcher):
    batcher.choose("Raw prompt (base model)")
    prompt = batcher.page.locator("#batch-prompt").get_by_role("textbox")
    expect(prompt).to_have_value(re.compile(r"Generate the caption in English:$"))
    batcher.visitor.until_drawn()  # the field's first drawing may take words back
    prompt.fill("Words without a clip:")
    batcher.send(GLASS)
    expect(prompt).to_have_value("Words without a clip:")
    batcher.page.locator("#batch-start").click()
    expect(batcher.page.get_by_role("alert").filter(has_text="exactly once")).to_be_visible()


def test_a_batch_can_be_worked_by_keyboard_alone(batcher: Batcher):
    batcher.send(GLASS)
    batcher.page.locator("#batch-start").focus()
    batcher.page.keyboard.press("Enter")
    expect(batcher.rows().first).to_be_visible()
    batcher.until_all()
    assert len(batcher.replies()) == 1
    batcher.page.locator("#batch-rows").focus()
    expect(batcher.page.locator("#batch-rows")).to_be_focused()


def test_the_chinese_tab_has_no_english_word(visit: Visit, tmp_path: Path):
    batcher = Batcher(visit(locale="zh-CN"))
    text = tmp_path / "notes.wav"
    text.write_text("This is only text.\n" * 20)
    batcher.send(text)
    batcher.start()
    batcher.until_all()
    shown = batcher.page.locator("body").inner_text()
    assert set(english_words(shown)) - NO_WORDS == set()
    labels = batcher.page.evaluate(
        """() => [...document.querySelectorAll('[aria-label], [title], [placeholder]')]
            .filter((element) => element.checkVisibility())
            .flatMap((element) => [element.ariaLabel, element.title, element.placeholder])
            .filter(Boolean).join('\\n')"""
    )
    assert set(english_words(labels)) - NO_WORDS == set()


def test_a_phone_never_scrolls_sideways(visit: Visit):
    batcher = Batcher(visit(viewport=PHONE, is_mobile=True, has_touch=True))
    batcher.send(GLASS)
    batcher.start()
    batcher.until_all()
    assert batcher.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(visit: Visit, tmp_path: Path, scheme: str):
    batcher = Batcher(visit(color_scheme=scheme))
    faults = serious(batcher.visitor)
    text = tmp_path / "notes.wav"
    text.write_text("This is only text.\n" * 20)
    batcher.send(GLASS, text)
    batcher.start()
    batcher.until_all()
    assert faults + serious(batcher.visitor) == []
