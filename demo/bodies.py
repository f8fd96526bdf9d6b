"""How much a request may bring along: more is refused before it fills the memory or the disk.

Uploads go to the disk, one by one within the limits of `demo.ui.look` and all of a house within its
share of a day. A clip may come inside a request too, as a data: URL, which is a third longer than
its file. This module knows no page and no sound.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from demo.faults import answer_in
from demo.forwarding import address_of
from demo.hearing.rules import MEGABYTE
from demo.ledger import Ledger
from demo.messages import Message, Sentences, size
from demo.uploads import INSUFFICIENT_STORAGE, UPLOAD
from demo.users import house_at

SENTENCES: Sentences = {
    "too_large": (
        "This request is larger than {limit:.0f} MB. Please upload its clips first, one by one.",
        "该请求超过 {limit:.0f} MB。请先逐个上传其中的音频。",
    ),
    "too_much": (
        "{limit} have been uploaded from your network address within a day, and this server takes "
        "no more from one. What you typed is kept; please come back later.",
        "您所在网络地址在一天内已上传 {limit}，已达本服务器对单个地址的上限。"
        "已输入的内容仍在，请稍后再来。",
    ),
}
TOO_LARGE = 413
WORDS_MB = 4.0  # for all that is no clip
ENCODED = 4 / 3  # base64


class Bodies:
    """ASGI middleware: refuses what is larger than one clip of `clip_mb`, or no room is left for.

    `ledger` knows of the uploads.
    """

    def __init__(self, app: ASGIApp, clip_mb: float, ledger: Ledger, language: str = "") -> None:
        self.app, self._ledger, self._language = app, ledger, language
        self._limit_mb = clip_mb * ENCODED + WORDS_MB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._of_uploads(scope) if scope["path"].endswith(UPLOAD) else self._of_others()
        over, begun = False, False

        async def receiving() -> Event:
            nonlocal over
            event = await receive()
            over = over or not limit.may(len(event.get("body", b"")))
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
            answer = answer_in(limit.told, limit.status, scope, self._language)
            await answer(scope, receive, send)

    def _of_uploads(self, scope: Scope) -> "_Limit":
        told = Message(SENTENCES, "too_much", limit=size(self._ledger.limit))
        may = partial(self._ledger.has_room, house_at(address_of(scope)))
        return _Limit(may, told, INSUFFICIENT_STORAGE)

    def _of_others(self) -> "_Limit":
        left = self._limit_mb * MEGABYTE

        def may(count: int) -> bool:
            nonlocal left
            left -= count
            return left >= 0

        return _Limit(may, Message(SENTENCES, "too_large", limit=self._limit_mb), TOO_LARGE)


@dataclass(frozen=True)
class _Limit:
    may: Callable[[int], bool]  # so many bytes more
    told: Message  # where they may not
    status: int
