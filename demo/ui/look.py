"""How the page looks, and what `launch` is told: theme, style sheet, the few lines of script.

The fonts are the visitor's own, and nothing is loaded from another host.
"""

import json
from pathlib import Path
from typing import Any

from gradio.themes import Base
from gradio.themes.utils import colors, fonts, sizes

from demo.batch.collect import SOUNDS
from demo.batch.manifest import MANIFESTS
from demo.settings import Settings
from demo.ui.clips import CLIPS
from demo.ui.labels import GRADIO_WORDS
from demo.ui.strings import i18n

ASSETS = Path(__file__).parents[2] / "assets"
STYLE = ASSETS / "style.css"
SCRIPT = ASSETS / "page.js"
FAVICON = ASSETS / "favicon.svg"

# Rules on the page's root, which Gradio would put below its own container in a style sheet.
INSECURE = """
html:not(.insecure) .block:has(.insecure-note), html.insecure #recorder { display: none; }
"""

# What words of a person or a model may bring into the page by Markdown: nothing from elsewhere.
POLICY = (
    "img-src 'self' data: blob:; media-src 'self' data: blob:; frame-src 'none'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)

SANS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "sans-serif",
)
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

INK = colors.Color(
    c50="#f8f8f6",
    c100="#f1f1ee",
    c200="#e3e3de",
    c300="#cdcdc6",
    c400="#9c9c95",
    c500="#6b6b66",
    c600="#52524e",
    c700="#3b3b38",
    c800="#262624",
    c900="#1b1b1a",
    c950="#131312",
    name="ink",
)
PINE = colors.Color(
    c50="#eef6f3",
    c100="#d7eae3",
    c200="#b0d5c8",
    c300="#80b9a7",
    c400="#4f9b85",
    c500="#2f7f6a",
    c600="#216655",
    c700="#1b5246",
    c800="#184239",
    c900="#153730",
    c950="#0a1f1b",
    name="pine",
)


COLOURS = {
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "body_text_color": "*neutral_900",
    "body_text_color_dark": "*neutral_100",
    "body_text_color_subdued": "*neutral_500",
    "body_text_color_subdued_dark": "*neutral_400",
    "background_fill_primary": "white",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary": "*neutral_100",
    "background_fill_secondary_dark": "*neutral_800",
    "block_background_fill": "transparent",
    "block_background_fill_dark": "transparent",
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_300",
    "block_title_text_weight": "500",
    "input_background_fill": "white",
    "input_background_fill_dark": "*neutral_900",
    "input_border_color": "*neutral_300",
    "input_border_color_dark": "*neutral_700",
    "input_border_width": "1px",
    "input_placeholder_color": "*neutral_500",
    "input_placeholder_color_dark": "*neutral_400",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_dark": "*primary_400",
    "button_primary_background_fill_hover_dark": "*primary_300",
    "button_primary_text_color": "white",
    "button_primary_text_color_dark": "*neutral_950",
    "button_secondary_background_fill": "white",
    "button_secondary_background_fill_dark": "*neutral_900",
    "button_secondary_border_color": "*neutral_300",
    "button_secondary_border_color_dark": "*neutral_700",
    "button_border_width": "1px",
    "color_accent": "*primary_600",
    "color_accent_soft": "*primary_50",
    "color_accent_soft_dark": "*neutral_800",
    "link_text_color": "*primary_600",
    "link_text_color_dark": "*primary_300",
}


class Calm(Base):
    """Paper and ink, and one green."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=PINE,
            secondary_hue=PINE,
            neutral_hue=INK,
            spacing_size=sizes.spacing_lg,
            radius_size=sizes.radius_lg,
            text_size=sizes.text_md,
            font=[fonts.Font(name) for name in SANS],
            font_mono=[fonts.Font(name) for name in MONO],
        )
        self.name = "calm"
        self.set(**COLOURS)


def launch_options(settings: Settings) -> dict[str, Any]:
    """The keyword arguments of `launch` that make the look of the page."""
    return {
        "theme": Calm(),
        "css_paths": [STYLE],
        "head": head(settings),
        "i18n": i18n(settings),
        "favicon_path": FAVICON,
        "footer_links": ["api"],
        "enable_monitoring": False,  # /metrics is; Gradio's would print a secret at every visit
        "run_history": False,  # the page keeps its own conversations
        "ssr_mode": False,
        "allowed_paths": [str(CLIPS)],
        # Twice the limit, so that our own sentence is told before Gradio's.
        "max_file_size": int(2 * settings.max_file_mb * 2**20),
    }


def head(settings: Settings) -> str:
    """The page's own script, with the language that the host forces, if any."""
    forced = {"en": "en-US", "zh": "zh-CN"}.get(settings.language)
    script = SCRIPT.read_text(encoding="utf-8")
    words = json.dumps(GRADIO_WORDS, ensure_ascii=False)
    sounds = json.dumps([*SOUNDS, *MANIFESTS])
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<style>{INSECURE}</style>\n"
        f"<script>window.demoLanguage = {json.dumps(forced)};\n"
        f"window.demoWords = {words};\nwindow.demoSounds = {sounds};\n{script}</script>"
    )
