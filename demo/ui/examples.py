"""Example conversations in the manner of the model card, one click each.

Their clips lie in `assets/examples`; an example whose clips are not installed is not shown.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.events import Dependency

from demo.messages import Language
from demo.ui import history as past
from demo.ui.chat import STREAMS, Chat
from demo.ui.clips import CLIPS
from demo.ui.history import History
from demo.ui.strings import label


@dataclass(frozen=True)
class Turn:
    """One send: clips by name, then words in English and Chinese."""

    clips: tuple[str, ...] = ()
    words: tuple[str, str] = ("", "")

    def messages(self, language: Language) -> History:
        paths = [str(CLIPS / name) for name in self.clips]
        return past.user_turn(self.words[1 if language == "zh" else 0], paths)


@dataclass(frozen=True)
class Example:
    key: str  # of its label
    turns: tuple[Turn, ...]

    def installed(self) -> bool:
        return all((CLIPS / name).is_file() for turn in self.turns for name in turn.clips)


SOUND = ("What is that sound?", "这是什么声音？")
SAYS = ("What does the person say?", "这个人说了什么？")

VOICE = (
    Example("example_sum", (Turn(("voice-chat-sum.flac",)),)),
    Example("example_two", (Turn(("voice-chat-joke.flac",)), Turn(("voice-chat-capital.flac",)))),
    Example("example_chinese", (Turn(("voice-chat-chinese.flac",)),)),
)
ANALYSIS = (
    Example(
        "example_glass",
        (Turn(("glass-breaking.flac",), SOUND), Turn(("woman-visit.flac",), SAYS)),
    ),
    Example(
        "example_louder",
        (
            Turn(
                ("siren-loud.flac", "bird-quiet.flac"),
                (
                    "Which clip is louder, the first or the second?",
                    "哪一段更响，第一段还是第二段？",
                ),
            ),
            Turn((), ("What was the first sound?", "第一个声音是什么？")),
        ),
    ),
    Example(
        "example_knocks",
        (Turn(("four-knocks.flac",), ("How many knocks are there?", "敲了几下？")),),
    ),
    Example(
        "example_long",
        (Turn(("long-message.ogg",), ("Transcribe the speech.", "请将这段语音转写成文字。")),),
    ),
)


def build_examples(examples: tuple[Example, ...]) -> list[tuple[Example, gr.Button]]:
    """Their buttons, which the style sheet hides once something has been said."""
    shown = [example for example in examples if example.installed()]
    if not shown:
        return []
    with gr.Row(elem_classes="examples"):
        return [(example, gr.Button(label(example.key), size="sm")) for example in shown]


def wire_examples(chat: Chat, buttons: list[tuple[Example, gr.Button]]) -> list[Dependency]:
    inputs = [chat.chatbot, *chat.panel.inputs]
    return [
        button.click(_play(chat, example), inputs, chat.answered, **STREAMS)
        for example, button in buttons
    ]


def _play(chat: Chat, example: Example) -> Callable[..., Iterator[Any]]:
    """Sends the example's first turn, and the others one by one after each reply."""

    def play(history: History, request: gr.Request, *fields: Any) -> Iterator[Any]:
        language = chat.kit.language(request)
        first, *more = [turn.messages(language) for turn in example.turns]
        yield from chat.send([*history, *first], request, fields, more)

    return play
