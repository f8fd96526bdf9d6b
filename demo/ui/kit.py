"""What the page's handlers are handed: the engine on its way, the ear, the host's settings."""

import math
import uuid
from dataclasses import dataclass, field

import gradio as gr

from demo.audio import Ear
from demo.hands import Hands
from demo.loading import Loading
from demo.messages import Language, Message
from demo.settings import Settings
from demo.ui.strings import SENTENCES, language_for
from demo.ui.turn import Desk
from demo.users import user
from demo.watching import Watch

UNREACHED_SECONDS = 30.0  # a server that is only restarted is back by then
UNLOADED_SECONDS = 180.0  # weights that are here are read and warmed up by then


@dataclass(frozen=True)
class Kit:
    loading: Loading
    ear: Ear
    settings: Settings
    notice: Message  # which model answers, why, and how to start the other
    watch: Watch = field(default_factory=Watch)
    hands: Hands = field(default_factory=Hands)

    def desk(self, request: gr.Request | None, patience: float = math.inf) -> Desk:
        """Where a visitor's turns are answered, once the engine is there."""
        whose = user_of(request)
        return Desk(self.loading, self.ear, whose, self.watch, self.hands, patience)

    @property
    def patience(self) -> float:
        """Seconds that a program waits for an engine on its way, whose progress it cannot see.

        What takes longer, a server that is gone or a download, may take hours.
        """
        remote = self.settings.engine == "openai"
        return UNREACHED_SECONDS if remote else UNLOADED_SECONDS

    def language(self, request: gr.Request | None) -> Language:
        return language_for(request, self.settings)

    def say(self, request: gr.Request | None, key: str, **values: object) -> str:
        return Message(SENTENCES, key, **values).say(self.language(request))


def user_of(request: gr.Request | None) -> str:
    """Whose requests take turns with others': a login's, else an open page's; see `demo.users`.

    All MCP clients come by one page of Gradio's, without a session of their own: each of their
    calls counts as somebody else's.
    """
    if request is None:
        return ""
    login, session = request.username or "", request.session_hash or ""
    if request.headers.get("x-gradio-user") == "mcp":
        session = uuid.uuid4().hex
    return user(login, session, request.client.host if request.client else "")
