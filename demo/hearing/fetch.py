"""Brings what lies at an http(s) URL, within limits of size and time.

It knows nothing about what is in the file. Which addresses may be connected to is decided where
the connection is made, in `demo.hearing.guard`. A proxy of the environment is not used, for it
would look names up on its own.
"""

import io
import time
from collections.abc import Iterable
from threading import Event
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from demo.hearing.guard import Private, Transport, Watch
from demo.hearing.rules import KILOBYTE, MEGABYTE, UNNAMED, AudioError, Limits

MAX_REDIRECTS = 5
HEADERS = {"Accept": "audio/*, video/*, */*;q=0.5", "Accept-Encoding": "identity"}
ENCODINGS = {"", "identity", "gzip", "deflate"}  # others can grow without bound in one step
PAGES = ("text/html", "application/xhtml+xml")
FAILURES = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    UnicodeError,  # a host name that cannot be written in IDNA
)


def name_of_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        return unquote(parts.path.rstrip("/").rsplit("/", 1)[-1]) or parts.hostname or UNNAMED
    except ValueError:
        return UNNAMED


def fetch(url: str, name: str, limits: Limits, stop: Event | None = None) -> BinaryIO:
    """The body at `url`, in memory; once `stop` is set it is too slow.

    Raises:
        AudioError: not http(s), not allowed, not reachable, an error, a page, too large, too slow.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in ("http", "https"):
        raise AudioError("url_scheme", name=name, scheme=scheme)
    visit = _Visit(name, limits, stop)
    try:
        with visit.client() as client, client.stream("GET", url) as response:
            visit.check(response)
            return visit.body(response.iter_bytes())
    except FAILURES as error:
        raise visit.explain(error) from error


class _Visit:
    """One download: what to call it, how long it may take, and what went wrong with it."""

    def __init__(self, name: str, limits: Limits, stop: Event | None) -> None:
        self.name = name
        self.limits = limits
        self.received = 0
        deadline = time.monotonic() + limits.download_seconds
        self.watch = Watch(deadline, limits.allow_private_urls, stop)

    def client(self) -> httpx.Client:
        return httpx.Client(
            transport=Transport(self.watch),
            headers=HEADERS,
            timeout=self.limits.stall_seconds,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            trust_env=False,
        )

    def check(self, response: httpx.Response) -> None:
        if not response.is_success:
            raise self.error("url_status", status=response.status_code)
        if response.headers.get("content-type", "").lower().startswith(PAGES):
            raise self.error("url_html")
        encoding = response.headers.get("content-encoding", "").lower()
        if encoding not in ENCODINGS:
            raise self.error("url_encoding", encoding=encoding[:20])
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limits.max_bytes:
            raise self.error(
                "too_large", megabytes=int(length) / MEGABYTE, limit=self.limits.max_file_mb
            )

    def body(self, pieces: Iterable[bytes]) -> BinaryIO:
        file = io.BytesIO()
        for piece in pieces:
            self.received += file.write(piece)
            if self.received > self.limits.max_bytes:
                raise self.error("url_too_large", limit=self.limits.max_file_mb)
        file.seek(0)
        return file

    def error(self, key: str, **values: object) -> AudioError:
        return AudioError(
            key, **{"name": self.name, "host": self.watch.host or self.name, **values}
        )

    def explain(self, error: Exception) -> AudioError:
        match error:
            case httpx.TooManyRedirects():
                return self.error("url_redirects", limit=MAX_REDIRECTS)
            case httpx.UnsupportedProtocol(request=request) if request.url.scheme:
                return self.error("url_scheme", scheme=request.url.scheme)
            case httpx.InvalidURL() | httpx.HTTPError() | UnicodeError():
                return self.error("url_wrong")
            case Private():
                return self.error("url_private")
            case httpcore.ConnectTimeout() | httpcore.ConnectError():
                return self.error("url_unreachable")
            case httpcore.TimeoutException() if self.watch.is_over():
                return self.error("url_slow", limit=self.limits.download_seconds)
            case httpcore.TimeoutException():
                return self.error("url_stalled", limit=self.limits.stall_seconds)
            case _ if not self.received:
                return self.error("url_no_answer")
        return self.error("url_broke_off", kilobytes=self.received / KILOBYTE)
