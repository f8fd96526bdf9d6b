"""The audio analysis tab: clips and a typed question, tasks that fill in a prompt."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import gradio as gr
from gradio.events import Dependency

from demo.ui import history as past
from demo.ui.chat import QUIET, STREAMS, Chat, Updates, wire
from demo.ui.examples import ANALYSIS, build_examples, wire_examples
from demo.ui.history import History
from demo.ui.kit import Kit
from demo.ui.panel import Panel
from demo.ui.parts import SOUNDS, build_chatbot
from demo.ui.strings import label
from demo.ui.tasks import LANGUAGES, TASKS, prompt
from demo.ui.turn import ahead


@dataclass(frozen=True)
class Box:
    """The analysis tab's entry: clips and words, until they are sent."""

    focus: ClassVar[str] = "#question textarea"

    box: gr.MultimodalTextbox

    @property
    def components(self) -> Sequence[Any]:
        return [self.box]

    def busy(self) -> Updates:
        return {self.box: gr.MultimodalTextbox(value=None, submit_btn=False, interactive=False)}

    def idle(self) -> Updates:
        return {self.box: gr.MultimodalTextbox(submit_btn=True, interactive=True)}

    def refill(self, text: str, paths: Sequence[str]) -> Updates:
        value = {"text": text, "files": list(paths)}
        return {self.box: gr.MultimodalTextbox(value=value, submit_btn=True, interactive=True)}


def build_analysis(kit: Kit, panel: Panel, saved: gr.BrowserState, blocks: gr.Blocks) -> Chat:
    with gr.Tab(label("analysis_tab"), id="analysis", elem_classes="room analysis"):
        chatbot = build_chatbot("analysis", label("analysis_chat"), label("analysis_empty"))
        alert = gr.HTML("", elem_classes="alert", padding=False)
        stop = gr.Button(label("stop"), visible=False, elem_id="analysis-stop", elem_classes="stop")
        examples = build_examples(ANALYSIS)
        tasks, language = _build_tasks()
        box = gr.MultimodalTextbox(
            sources=["upload", "microphone"],
            file_count="multiple",
            file_types=SOUNDS,
            label=label("question"),
            show_label=False,
            placeholder=label("question_hint"),
            max_lines=8,
            elem_id="question",
        )
        # Gradio tells of no finished upload here; the page's script sees it and clicks this.
        uploaded = gr.Button(visible="hidden", elem_id="question-uploaded")
        pending = gr.State(None)
    chat = Chat(
        "analysis",
        kit,
        panel,
        chatbot,
        stop,
        alert,
        Box(box),
        pending,
        saved,
    )
    wire(chat, blocks, [*wire_examples(chat, examples), _wire_box(chat, box)])
    _wire_ahead(chat, box, uploaded)
    _wire_tasks(kit, tasks, language, box)
    return chat


def _build_tasks() -> tuple[dict[str, gr.Button], gr.Dropdown]:
    before, after = TASKS[: TASKS.index("translate")], TASKS[TASKS.index("translate") + 1 :]
    with gr.Row(elem_classes="tasks"):
        buttons = {task: _chip(task) for task in before}
        with gr.Row(elem_classes="translate"):
            buttons["translate"] = _chip("translate")
            language = gr.Dropdown(
                choices=[(label(name), name) for name in LANGUAGES],
                value=LANGUAGES[0],
                label=label("language"),
                show_label=False,
                container=False,
                filterable=False,
                min_width=100,
                elem_id="translate-to",
            )
        buttons |= {task: _chip(task) for task in after}
    return buttons, language


def _chip(task: str) -> gr.Button:
    return gr.Button(label(f"task_{task}"), size="sm", min_width=0, elem_classes="chip")


def _wire_box(chat: Chat, box: gr.MultimodalTextbox) -> Dependency:
    def send(
        value: dict[str, Any] | None, history: History, request: gr.Request, *fields: Any
    ) -> Iterator[Any]:
        text, files = (value or {}).get("text") or "", (value or {}).get("files") or []
        yield from chat.speak(text, files, history, request, fields)

    return box.submit(send, [box, chat.chatbot, *chat.panel.inputs], chat.answered, **STREAMS)


def _wire_ahead(chat: Chat, box: gr.MultimodalTextbox, uploaded: gr.Button) -> None:
    """While the question is still being typed, the clips are already heard."""

    def listen(
        value: dict[str, Any] | None, history: History, system: str, request: gr.Request
    ) -> None:
        files, kit = (value or {}).get("files") or [], chat.kit
        if files and kit.loading.engine():
            asked = [*history, *past.user_turn("", files)]
            desk = kit.desk(request)
            # What is wrong with them is told when they are sent.
            kit.hands.spare(partial(ahead, asked, system, desk), desk.user)

    uploaded.click(listen, [box, chat.chatbot, chat.panel.system], None, **QUIET)


def _wire_tasks(
    kit: Kit, buttons: dict[str, gr.Button], language: gr.Dropdown, box: gr.MultimodalTextbox
) -> None:
    def fill(task: str) -> Callable[..., dict[str, Any]]:
        def filled(
            value: dict[str, Any] | None, target: str, request: gr.Request
        ) -> dict[str, Any]:
            files = (value or {}).get("files") or []
            return {"text": prompt(task, target, kit.language(request)), "files": files}

        return filled

    for task, button in buttons.items():
        button.click(fill(task), [box, language], box, **QUIET)
    language.input(fill("translate"), [box, language], box, **QUIET)
