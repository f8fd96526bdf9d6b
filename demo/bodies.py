"""How much a request may bring along: more is refused before it fills the memory.

Uploads are not counted: they go to the disk, within the limits of `demo.ui.look`. A clip may come
inside a request too, as a data: URL, which is a third longer than its file. This module knows no
page and no sound.
"""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from demo.faults import answer_in
from demo.hearing.rules import MEGABYTE
from demo.messages import Message, Sentences

SENTENCES: Sentences = {
    "too_large": (
        "This request is larger than {limit:.0f} MB. Please upload its clips first, one by one.",
        "该请求超过 {limit:.0f} MB。请先逐个上传其中的音频。",
    ),
}
TOO_LARGE = 413
WORDS_MB = 4.0  # for all that is no clip
ENCODED = 4 / 3  # base64


class Bodies:
    """ASGI middleware: answers 413 to what is larger than one clip of `clip_mb`."""

    def __init__(self, app: ASGIApp, clip_mb: float, language: str = "") -> None:
        self.app, self._language = app, language
        self._limit_mb = clip_mb * ENCODED + WORDS_MB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith("/upload"):
            await self.app(scope, receive, send)
            return
        received, over, begun = 0, False, False

        async def receiving() -> Event:
            nonlocal received, over
            event = await receive()
            received += len(event.get("body", b""))
            over = over or received > self._limit_mb * MEGABYTE
            return {"type": "http.disconnect"} if over else event

        async def sending(event: Event) -> None:
            nonlocal begun
            if not over:  # else it is about a body that breaks off
                begun = True
                await send(event)

        try:
            await self.app(scope, receiving, sending)
        except ClientDisconnect:
            if not over:
                raise
        if over and not begun:
            told = Message(SENTENCES, "too_large", limit=self._limit_mb)
            await answer_in(told, TOO_LARGE, scope, self._language)(scope, receive, send)
