"""Makes README's pictures: a reply in each tab, on a desktop and a phone, light and dark.

    python -m tests.screenshots            # into assets/screenshots/

It starts the app with the preview checkpoint and speaks into the browser's microphone, as the
page's tests do.
"""

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.conftest import CLIPS, launch, spoken_wav
from tests.serving import ROOT, serving
from tests.visitor import SECONDS, Visitor

SHOTS = ROOT / "assets" / "screenshots"
SPOKEN = "voice-chat-capital.flac"
SPOKEN_SECONDS = 4.0  # after the second of rest that comes first
SIZES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
NO_FAKE_MICROPHONE = "#recorder .mic-select { display: none !important; }"
SCHEMES = ("light", "dark")


def main() -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp())
    with (
        serving(folder / "log", "--model", "preview") as app,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright, spoken_wav(folder, SPOKEN))
        for (size, context), scheme in product(SIZES.items(), SCHEMES):
            photograph(browser, app.url, f"{size}-{scheme}", color_scheme=scheme, **context)
        browser.close()


def photograph(browser: Browser, url: str, name: str, **context: Any) -> None:
    """One picture of each tab with a reply in it."""
    visitor = Visitor(browser, url, **context)
    visitor.answer("voice", lambda: visitor.record(SPOKEN_SECONDS))
    shoot(visitor, f"voice-{name}")
    visitor.open("analysis")
    visitor.answer(
        "analysis", lambda: visitor.ask("What is that sound?", CLIPS / "glass-breaking.flac")
    )
    shoot(visitor, f"analysis-{name}")
    visitor.close()


def shoot(visitor: Visitor, name: str) -> None:
    visitor.page.add_style_tag(content=NO_FAKE_MICROPHONE)
    visitor.page.mouse.move(1, 1)
    visitor.page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    visitor.page.wait_for_timeout(SECONDS)
    path = SHOTS / f"{name}.png"
    visitor.page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
