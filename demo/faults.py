"""The last edge: a request that fails unforeseen is a sentence for its sender, a line for the host.

Gradio's routes answer some malformed requests by an error of their own, which the server would
print with what was sent in it. This module knows no page and no sound.
"""

import logging

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Sent

from demo.messages import Message, Sentences, language_of
from demo.watching import place_of

SENTENCES: Sentences = {
    "failed": (
        "This request cannot be answered: something in it is not of the form that is taken here, "
        "or something went wrong on the server; its terminal says what.",
        "无法处理该请求：其格式不符，或服务器出了问题；原因见其终端。",
    ),
}

log = logging.getLogger(__name__)


def answer_in(message: Message, status: int, scope: Scope, language: str) -> PlainTextResponse:
    """An answer that tells `message` in `language` or, where that is "", in the sender's own."""
    asked = Headers(scope=scope).get("accept-language")
    return PlainTextResponse(message.say(language_of(asked, language)), status)


class Faults:
    """ASGI middleware: no error passes it; told in `language` or the sender's own."""

    def __init__(self, app: ASGIApp, language: str = "") -> None:
        self.app, self._language = app, language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = False

        async def sending(message: Sent) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            log.error("a request failed: %s", place_of(error))
            if not begun:
                answer = answer_in(Message(SENTENCES, "failed"), 500, scope, self._language)
                await answer(scope, receive, send)
