"""What the page's handlers are handed: the engine on its way, the ear, the host's settings."""

from dataclasses import dataclass, field

import gradio as gr

from demo.audio import Ear
from demo.loading import Loading
from demo.messages import Language, Message
from demo.settings import Settings
from demo.ui.strings import SENTENCES, language_for
from demo.ui.turn import Desk
from demo.watching import Watch


@dataclass(frozen=True)
class Kit:
    loading: Loading
    ear: Ear
    settings: Settings
    notice: Message  # which model answers, why, and how to start the other
    watch: Watch = field(default_factory=Watch)

    def desk(self, request: gr.Request | None) -> Desk:
        """Where a visitor's turns are answered, once the engine is there."""
        return Desk(self.loading.wait(), self.ear, user_of(request), self.watch)

    def language(self, request: gr.Request | None) -> Language:
        return language_for(request, self.settings)

    def say(self, request: gr.Request | None, key: str, **values: object) -> str:
        return Message(SENTENCES, key, **values).say(self.language(request))


def user_of(request: gr.Request | None) -> str:
    """Whose requests take turns with others': a login's, else an open page's."""
    login = getattr(request, "username", None)
    return str(login or getattr(request, "session_hash", None) or "")
