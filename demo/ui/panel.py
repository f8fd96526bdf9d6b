"""The settings panel: a system prompt and the generation options, shared by the three tabs."""

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from demo.engine import Engine, Memory, Options
from demo.messages import size
from demo.ui.kit import Kit
from demo.ui.options import FIELDS, options_of, read_number
from demo.ui.strings import label


@dataclass(frozen=True)
class Panel:
    area: gr.Accordion
    system: gr.Textbox
    numbers: dict[str, gr.Textbox]  # a gr.Number shows and sends 0 where it is empty
    memory: gr.HTML

    @property
    def inputs(self) -> list[Component]:
        """What a handler takes last, for `chosen`."""
        return [self.system, *self.numbers.values()]


def build_panel() -> Panel:
    """The panel, not yet placed: `area.render()` places it."""
    with gr.Accordion(label("settings"), open=False, elem_classes="panel", render=False) as area:
        gr.Markdown(label("settings_note"), elem_classes="small")
        system = gr.Textbox(
            label=label("system"), placeholder=label("system_hint"), lines=2, max_lines=6
        )
        with gr.Row(elem_classes="numbers"):
            numbers = {name: _number(name) for name in FIELDS}
        reset = gr.Button(label("reset"), size="sm", variant="secondary", elem_classes="quiet")
        memory = gr.HTML("", elem_id="memory", padding=False)
    panel = Panel(area, system, numbers, memory)
    reset.click(
        lambda: [""] * (1 + len(FIELDS)),
        outputs=panel.inputs,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return panel


def chosen(system: str | None, *texts: str | None) -> tuple[str | None, Options]:
    """The system prompt and the options that stand in the panel's `inputs`.

    Raises:
        PageError: one of the options is no number, or out of its limits.
    """
    return system, options_of(**dict(zip(FIELDS, map(read_number, texts), strict=True)))


def defaults_shown(panel: Panel, defaults: Options) -> dict[Component, gr.Textbox]:
    """Updates that show the engine's own defaults in the empty fields."""
    return {
        number: gr.Textbox(placeholder=f"{getattr(defaults, name):g}")
        for name, number in panel.numbers.items()
        if getattr(defaults, name) is not None
    }


def tell_memory(kit: Kit, panel: Panel) -> None:
    """Shows what the engine holds each time the panel is opened."""

    def told(request: gr.Request) -> str:
        if kit.loading.status().phase != "ready":
            return ""
        engine = kit.loading.wait()
        memory = engine.memory()
        return f'<p class="small">{_memory(kit, request, engine, memory)}</p>' if memory else ""

    panel.area.expand(
        told, outputs=panel.memory, queue=False, show_progress="hidden", api_visibility="private"
    )


def _memory(kit: Kit, request: gr.Request, engine: Engine, memory: Memory) -> str:
    return kit.say(
        request,
        "memory",
        device=engine.info.device,
        weights=size(memory.weights),
        clips=size(memory.clips),
        clips_most=size(memory.budgets.clips),
        conversations=size(memory.conversations),
        conversations_most=size(memory.budgets.conversations),
    )


def _number(name: str) -> gr.Textbox:
    return gr.Textbox(
        value="",
        label=label(name),
        placeholder=label("seed_hint") if name == "seed" else "–",
        max_lines=1,
        min_width=140,
        elem_id=f"option-{name}",
    )
