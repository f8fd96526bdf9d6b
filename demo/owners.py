"""Whose an upload is: who else learns its path gets nothing from it.

A browser is known by a cookie, which it gets with the page; gradio_client gets and keeps it too. A
login is known by its name, on all of its devices; whoever keeps no cookie by a network address. The
owners of a file stand beside it, as empty files: so they outlive this process, another one knows
them too, and who uploads the same as somebody else has it as well. This module knows no page and no
sound.
"""

import filecmp
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from gradio.route_utils import API_PREFIX
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from demo.forwarding import address_of
from demo.gate import login_of
from demo.uploads import MARK, MARK_NAME, NOT_FOUND, UPLOAD
from demo.users import house_at

COOKIE = "qwen2-audio-visitor"
COOKIE_SECONDS = 30 * 24 * 3600  # from the last time that the page was opened
TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
HEADER = "x-visitor-marks"  # by which a handler of the page learns who asks
TOOL = ("x-gradio-user", "mcp")  # Gradio's client, which asks for others and hands on their address
FILE = re.compile(rf"(?P<route>{API_PREFIX}/file[=/])(?P<path>.*)", re.DOTALL)
CONFIG = "/config"  # a program's first request, as the page is a browser's
OWN = {"cache-control": "private, no-cache", "vary": "Cookie"}
NOWHERE = PlainTextResponse("not here\n", NOT_FOUND, {"cache-control": "no-store"})
LISTENING = f"{API_PREFIX}/queue/data"
ANSWERED = ("content-type", "content-length")  # of headers that a request may have too


def marks_of(login: str = "", token: str = "", address: str = "") -> list[str]:
    """The names under which somebody owns uploads."""
    known = [("login", login), ("token", token), ("address", house_at(address) or "here")]
    return [_digest(f"{kind}:{value}") for kind, value in known if value]


def _digest(text: str) -> str:
    """Not to be turned back: what is in the uploads' folder logs nobody in."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _beside(file: Path, mark: str) -> Path:
    """Where it stands that a file is somebody's; not of one of another name with its content."""
    return file.with_name(f"{MARK}{_digest(f'{mark}:{file.name}')}")


def claim(file: Path, marks: Iterable[str]) -> None:
    """Makes an upload somebody's; OSError where the disk takes nothing."""
    for mark in marks:
        _beside(file, mark).touch()


@dataclass(frozen=True)
class Clips:
    """The uploads, in `folder` one folder for each content; what is in `shared` is everybody's."""

    folder: Path
    shared: Path

    def found(self, path: str, marks: Iterable[str]) -> Path | None:
        """The file of this name where somebody with these marks may have it, without links."""
        file = _real(path)
        if file is None:
            return None
        if file.parent.parent == self.folder.resolve() and not MARK_NAME.fullmatch(file.name):
            own = any(_beside(file, mark).exists() for mark in marks) or self._copied(file)
        else:
            own = file.parent == self.shared.resolve()
        return file if own else None

    def _copied(self, file: Path) -> bool:
        """Whether it is Gradio's copy of a file that is everybody's."""
        same = self.shared / file.name
        return same.is_file() and filecmp.cmp(file, same, shallow=False)


def _real(path: str) -> Path | None:
    """A file without links; None where there is none."""
    try:
        file = Path(path).resolve()
        return file if file.is_file() else None
    except (OSError, ValueError, RuntimeError):  # one that no disk can have
        return None


class Owners:
    """ASGI middleware: knows the visitors, notes whose an upload is, and gives it to nobody else.

    A handler of the page finds the marks of who asks in the request's `HEADER`.
    """

    def __init__(self, app: ASGIApp, clips: Clips) -> None:
        self.app, self._clips = app, clips

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token, login, address = _token(scope), login_of(scope), address_of(scope)
        marks = marks_of(login, token, address)
        scope = _with_marks(scope, marks)
        if asked := FILE.search(scope["path"]):
            await self._file(asked, marks, scope, receive, send)
            return
        if not _may_listen(scope, marks):
            await NOWHERE(scope, receive, send)
            return
        fresh = token or token_urlsafe(32)
        uploading = scope["method"] == "POST" and scope["path"].endswith(UPLOAD)
        if uploading:
            # A visitor who has no cookie yet may keep this one, or none at all.
            first = 1 if login or token else 2
            send = _claiming(send, marks_of(login, fresh, address)[:first])
        if uploading or scope["method"] == "GET":
            send = _introducing(send, scope, fresh)
        await self.app(scope, receive, send)

    async def _file(
        self, asked: re.Match[str], marks: Sequence[str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serves the file that was found to be theirs, whatever it was called."""
        file = await run_in_threadpool(self._clips.found, asked["path"], marks)
        if file is None:
            await NOWHERE(scope, receive, send)
            return
        path = f"{scope['path'][: asked.end('route')]}{file}"
        await self.app({**scope, "path": path}, receive, _serving(send, scope))


def take(session: Any, marks: Sequence[str], lasting: bool) -> bool:
    """Whether a session of Gradio's belongs to somebody with these marks.

    Who first uses one has it, if they are known by more than an address, which may change; not
    where it is not `lasting`, as Gradio asks for all MCP clients in one.
    """
    if not hasattr(session, "owner"):
        session.owner = marks[0] if lasting and len(marks) > 1 else ""
    return not session.owner or session.owner in marks


def _may_listen(scope: Scope, marks: Sequence[str]) -> bool:
    """Whether what is asked for is no session's replies, or those of one's own."""
    if not scope["path"].rstrip("/").endswith(LISTENING):
        return True
    name = Request(scope).query_params.get("session_hash", "")
    owner = getattr(scope["app"].state_holder.session_data.get(name), "owner", "")
    return not owner or owner in marks


def _token(scope: Scope) -> str:
    """A visitor's cookie; "" where there is none."""
    token = Request(scope).cookies.get(_cookie_name(scope), "")
    return token if TOKEN.fullmatch(token) and TOOL not in Headers(scope=scope).items() else ""


def _cookie_name(scope: Scope) -> str:
    """With a prefix for which a browser sees that no other host has set it."""
    return f"__Host-{COOKIE}" if scope["scheme"] == "https" else COOKIE


def _with_marks(scope: Scope, marks: Sequence[str]) -> Scope:
    name = HEADER.encode()
    others = [(key, value) for key, value in scope["headers"] if key.lower() != name]
    return {**scope, "headers": [*others, (name, " ".join(marks).encode())]}


def _claiming(send: Send, marks: Sequence[str]) -> Send:
    """`send` for an upload, whose answer is held back until the files in it are somebody's."""
    start: Event = {}
    body = bytearray()

    async def sending(event: Event) -> None:
        nonlocal start
        if event["type"] == "http.response.start":
            start = event
            return
        body.extend(event.get("body", b""))
        if event.get("more_body"):
            return
        if start["status"] == 200:
            await run_in_threadpool(_claim_all, json.loads(body), marks)
        await send(start)
        await send({"type": "http.response.body", "body": bytes(body)})

    return sending


def _claim_all(paths: Iterable[str], marks: Sequence[str]) -> None:
    for path in paths:
        claim(Path(path), marks)


def _introducing(send: Send, scope: Scope, token: str) -> Send:
    """`send` for what may be a page, with which a visitor gets a cookie, or keeps it for longer."""
    path = scope["path"].rstrip("/")

    async def sending(event: Event) -> None:
        if event["type"] == "http.response.start" and event["status"] == 200:
            kind = Headers(raw=event["headers"]).get("content-type", "")
            if kind.startswith("text/html") or path.endswith((CONFIG, UPLOAD)):
                headers = MutableHeaders(scope=event)
                headers.append("set-cookie", _cookie(token, scope))
                headers.setdefault("cache-control", OWN["cache-control"])
        await send(event)

    return sending


def _serving(send: Send, scope: Scope) -> Send:
    """`send` for a file: not for caches, and without the request's headers, a login among them.

    With those Gradio answers a request for a part of a file.
    """
    asked = {key.lower() for key, _ in scope["headers"]} - {one.encode() for one in ANSWERED}

    async def sending(event: Event) -> None:
        if event["type"] == "http.response.start":
            kept = [(key, value) for key, value in event["headers"] if key.lower() not in asked]
            event = {**event, "headers": kept}
            MutableHeaders(scope=event).update(OWN)
        await send(event)

    return sending


def _cookie(token: str, scope: Scope) -> str:
    """As a header; where it can be, one that also a page in another one's frame keeps.

    A Space is such a page. There the cookie is one of its own for each page around it (CHIPS,
    https://developer.mozilla.org/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies).
    """
    framed = "SameSite=None; Secure; Partitioned" if scope["scheme"] == "https" else "SameSite=Lax"
    named = f"{_cookie_name(scope)}={token}"
    return f"{named}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; {framed}"
