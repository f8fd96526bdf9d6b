"""A visitor at the page: a browser's page with the few moves that the tests and pictures need."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests import serving

SECONDS = 1000  # Playwright counts milliseconds
DRAWN = 0.5 * SECONDS
PATIENCE = serving.PATIENCE * SECONDS
THEIRS = (  # Gradio's own: a recorder or a player that leaves the page, a stream that is closed
    "svelte.dev/e/derived_inert",
    "Method not implemented.",
    "signal is aborted without reason",
)

expect.set_options(timeout=PATIENCE)

# A short reply is made sooner than a look at the page can see its stop button.
WATCH = """(stop) => {
  window.begun = false;
  new MutationObserver((records) => {
    const added = records.flatMap((record) => [...record.addedNodes]);
    if (added.some((node) => node.id === stop || node.querySelector?.(`#${stop}`)))
      window.begun = true;
  }).observe(document.body, { childList: true, subtree: true });
}"""

STOP_AT_WORDS = """(tab) => new MutationObserver((_, observer) => {
  const said = document.querySelector(
    `#${tab}-chat [data-testid=bot]:not(:has(.thought-group))`
  );
  const stop = document.querySelector(`#${tab}-stop`);
  if (!stop || !said?.innerText.trim()) return;
  observer.disconnect();
  stop.click();
  window.pressed = Date.now() / 1000;
}).observe(document.body, { childList: true, characterData: true, subtree: true })"""


class Visitor:
    """Somebody with a browser of their own, who notes what goes wrong in it."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        settings = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **context}
        self.context = browser.new_context(permissions=["microphone"], **settings)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self._events: set[Request] = set()
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("request", lambda request: self._note_host(request.url, url))
        self.page.on("request", self._note_event)
        for end in ("requestfinished", "requestfailed"):
            self.page.on(end, lambda request: self._events.discard(request))
        self.page.goto(url)
        self.wait()

    def wait(self) -> None:
        """Until the page stands and the engine is ready."""
        expect(self.page.locator(".model.ready")).to_be_visible()
        expect(self.page.locator("#recorder .record-button")).to_be_attached()

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(known in text for known in THEIRS):
            self.problems.append(f"{kind}: {text}")

    def _note_host(self, asked: str, url: str) -> None:
        if not asked.startswith((url, "data:", "blob:")):
            self.problems.append(f"asked another host: {asked}")

    def _note_event(self, request: Request) -> None:
        if "/queue/data?" in request.url:
            self._events.add(request)

    # Where things are.

    def chat(self, tab: str) -> Locator:
        return self.page.locator(f"#{tab}-chat")

    def replies(self, tab: str) -> Locator:
        """The model's messages: not the page's notes."""
        return self.chat(tab).locator('[data-testid="bot"]:not(:has(.thought-group))')

    def said(self, tab: str) -> Locator:
        return self.chat(tab).locator('[data-testid="user"]')

    def clips(self, tab: str) -> Locator:
        return self.chat(tab).locator(".minimal-audio-player")

    @property
    def words(self) -> Locator:
        return self.page.locator("#question textarea")

    # What a visitor does.

    def open(self, tab: str) -> None:
        """Also waits until the tab is drawn: on a slow machine what comes sooner is lost."""
        self.page.locator(f'[role="tab"][data-tab-id="{tab}"]').click()
        self.until_drawn()

    def until_drawn(self) -> None:
        self.page.wait_for_timeout(DRAWN)
        self.page.evaluate("() => new Promise((idle) => requestIdleCallback(idle))")

    def record(self, seconds: float) -> None:
        """Press, speak, press again."""
        self.page.locator("#recorder .record-button").click()
        expect(self.page.locator("#recorder .stop-button")).to_be_visible()
        self.page.wait_for_timeout(seconds * SECONDS)
        self.page.locator("#recorder .stop-button").click()

    def attach(self, *files: Path) -> None:
        chooser: Sequence[Path] = files
        self.page.locator("#question input[type=file]").set_input_files(list(chooser))
        expect(self.page.locator("#question .thumbnail-item")).to_have_count(len(files))

    def ask(self, words: str, *files: Path) -> None:
        if files:
            self.attach(*files)
        self.words.fill(words)
        self.page.locator("#question .submit-button").click()

    def press(self, tab: str, name: str) -> None:
        """A button of the conversation, by its accessible name: the last of that name."""
        self.chat(tab).get_by_role("button", name=name, exact=True).last.click()

    def until_done(self, tab: str) -> None:
        """Until the reply is made and the entry is back."""
        expect(self.page.locator(f"#{tab}-stop")).to_have_count(0)

    def stop_at_words(self, tab: str) -> None:
        """Has the page itself press stop at a reply's first words: no look from here is as soon."""
        self.page.evaluate(STOP_AT_WORDS, tab)

    def until_told(self) -> None:
        """Until the page knows that its event is over, which is a moment after it shows the end."""
        while self._events:
            self.page.wait_for_timeout(50)

    def answer(self, tab: str, act: Callable[[], None]) -> str:
        """What the model replies to what `act` does."""
        self.page.evaluate(WATCH, f"{tab}-stop")
        act()
        self.page.wait_for_function("window.begun")
        self.until_done(tab)
        return self.replies(tab).last.inner_text().strip()

    def set_options(self, **values: str) -> None:
        """Fills in the settings panel, opening it where it is closed."""
        field = self.page.locator("#option-temperature textarea, #option-temperature input")
        if not field.is_visible():
            self.page.locator(".panel > button").click()
        for name, value in values.items():
            self.page.locator(f"#option-{name}").get_by_role("textbox").fill(value)

    def close(self) -> None:
        self.context.close()
