"""The page's head: its name, the model that answers and why, and how far its loading is."""

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from demo.loading import Status
from demo.messages import Language
from demo.ui.kit import Kit
from demo.ui.panel import Panel, defaults_shown
from demo.ui.strings import label

TICK_SECONDS = 0.5
ENGINE_PHASES = ("ready", "failed")

LOGO = (
    '<svg viewBox="0 0 32 32" aria-hidden="true" focusable="false"><g fill="currentColor">'
    '<rect x="4" y="12" width="3" height="8" rx="1.5"/><rect x="10" y="7" width="3" height="18" '
    'rx="1.5"/><rect x="16" y="3" width="3" height="26" rx="1.5"/><rect x="22" y="9" width="3" '
    'height="14" rx="1.5"/><rect x="28" y="13" width="3" height="6" rx="1.5"/></g></svg>'
)


def build_header() -> tuple[gr.HTML, gr.Timer]:
    with gr.Row(elem_classes="masthead"):
        gr.HTML(f'<div class="brand">{LOGO}<h1>Qwen2-Audio</h1></div>', padding=False)
        state = gr.HTML("", elem_id="model-state", padding=False)
    gr.HTML(f'<div class="insecure-note" role="note">{label("insecure")}</div>', padding=False)
    return state, gr.Timer(TICK_SECONDS)


def follow_loading(
    kit: Kit, blocks: gr.Blocks, state: gr.HTML, timer: gr.Timer, panel: Panel
) -> None:
    """Shows the loading until the engine is there; then its name and its defaults."""

    def look(request: gr.Request) -> dict[Component, Any]:
        status = kit.loading.status()
        shown: dict[Component, Any] = {state: model_state(kit, status, kit.language(request))}
        if status.phase in ENGINE_PHASES:
            shown[timer] = gr.Timer(active=False)
        if status.phase == "ready":
            shown |= defaults_shown(panel, kit.loading.wait().info.defaults)
        return shown

    outputs: list[Component] = [state, timer, *panel.inputs]
    events: list[Callable[..., Any]] = [timer.tick, blocks.load]
    for event in events:
        event(
            look,
            outputs=outputs,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )


def model_state(kit: Kit, status: Status, language: Language) -> str:
    """One line on the model, with its reason to unfold; a bar while it is on its way."""
    text = escape(status.text.say(language))
    notice = escape(kit.notice.say(language))
    if status.phase == "ready":
        info = kit.loading.wait().info
        name = escape(info.model)
        where = escape(" · ".join(filter(None, (info.device, info.dtype))))
        return (
            f'<details class="model ready"><summary><span class="dot"></span><b>{name}</b>'
            f'<span class="where">{where}</span></summary><p>{notice}</p></details>'
        )
    if status.phase == "failed":
        return f'<div class="model failed" role="alert"><p>{text}</p><p>{notice}</p></div>'
    return f'<div class="model loading" role="status"><p>{text}</p>{_bar(status)}</div>'


def _bar(status: Status) -> str:
    if status.fraction is None:
        return '<div class="bar unknown"><i></i></div>'
    return f'<div class="bar"><i style="width:{100 * status.fraction:.0f}%"></i></div>'
