"""The voice chat tab: one microphone, no text. A recording that ends is a turn that begins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gradio as gr
from gradio.events import Dependency

from demo.ui.chat import STREAMS, Chat, Updates, wire
from demo.ui.examples import VOICE, build_examples, wire_examples
from demo.ui.history import History
from demo.ui.kit import Kit
from demo.ui.panel import Panel
from demo.ui.parts import SOUNDS, build_chatbot
from demo.ui.strings import label


@dataclass(frozen=True)
class Microphone:
    """The voice tab's entry; it comes back empty, for the next recording."""

    focus: ClassVar[str] = "#recorder .record-button"

    area: gr.Column
    recorder: gr.Audio
    files: gr.File

    @property
    def components(self) -> Sequence[Any]:
        return [self.area, self.recorder, self.files]

    def busy(self) -> Updates:
        return {self.area: gr.Column(visible=False), self.recorder: None, self.files: None}

    def idle(self) -> Updates:
        return {self.area: gr.Column(visible=True)}

    def refill(self, text: str, paths: Sequence[str]) -> None:
        """A recording cannot be put back into a microphone: its turn stays, for retry."""
        return


def build_voice(kit: Kit, panel: Panel, saved: gr.BrowserState, blocks: gr.Blocks) -> Chat:
    with gr.Tab(label("voice_tab"), id="voice", elem_classes="room voice"):
        chatbot = build_chatbot("voice", label("voice_chat"), label("voice_empty"))
        alert = gr.HTML("", elem_classes="alert", padding=False)
        examples = build_examples(VOICE)
        with gr.Column(elem_classes="speak") as area:
            recorder = gr.Audio(
                sources=["microphone"],
                type="filepath",
                label=label("microphone"),
                show_label=False,
                editable=False,
                buttons=[],
                elem_id="recorder",
            )
            files = gr.File(
                file_count="multiple",
                file_types=SOUNDS,
                type="filepath",
                label=label("voice_drop"),
                height=76,
                elem_id="voice-files",
            )
        stop = gr.Button(label("stop"), visible=False, elem_id="voice-stop", elem_classes="stop")
        pending = gr.State(None)
    chat = Chat(
        "voice",
        kit,
        panel,
        chatbot,
        stop,
        alert,
        Microphone(area, recorder, files),
        pending,
        saved,
    )
    wire(chat, blocks, [*wire_examples(chat, examples), *_wire_entry(chat, recorder, files)])
    return chat


def _wire_entry(chat: Chat, recorder: gr.Audio, files: gr.File) -> list[Dependency]:
    def recorded(
        path: str | None, history: History, request: gr.Request, *fields: Any
    ) -> Iterator[Any]:
        yield from chat.speak("", [path] if path else [], history, request, fields)

    def dropped(
        paths: list[str] | None, history: History, request: gr.Request, *fields: Any
    ) -> Iterator[Any]:
        yield from chat.speak("", paths or [], history, request, fields)

    rest = [chat.chatbot, *chat.panel.inputs]
    return [
        recorder.stop_recording(recorded, [recorder, *rest], chat.answered, **STREAMS),
        files.upload(dropped, [files, *rest], chat.answered, **STREAMS),
    ]
