"""What the page's handlers are handed: the engine on its way, the ear, the host's settings."""

from dataclasses import dataclass

import gradio as gr

from demo.audio import Ear
from demo.loading import Loading
from demo.messages import Language, Message
from demo.settings import Settings
from demo.ui.strings import SENTENCES, language_for

MODEL = "model"  # the concurrency id of every handler that uses the engine, one at a time


@dataclass(frozen=True)
class Kit:
    loading: Loading
    ear: Ear
    settings: Settings
    notice: Message  # which model answers, why, and how to start the other

    def language(self, request: gr.Request | None) -> Language:
        return language_for(request, self.settings)

    def say(self, request: gr.Request | None, key: str, **values: object) -> str:
        return Message(SENTENCES, key, **values).say(self.language(request))
