"""A server on loopback that speaks OpenAI's chat API well and badly, as its script says."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.serving import PATIENCE

MODEL = "qwen2-audio"
Act = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request."""

    @property
    def model(self) -> "Server":
        assert isinstance(self.server, Server)
        return self.server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.model.key and self.headers["Authorization"] != f"Bearer {self.model.key}":
            self.refuse(401, f"wrong key: {self.headers['Authorization']}")  # some say it back
            return
        if self.model.page:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(self.model.page)
            return
        models = [{"id": MODEL, "object": "model", "created": 0, "owned_by": "us",
                   "max_model_len": 2048}]  # fmt: skip
        self.tell(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.model.asked.append(json.loads(body))
        with suppress(OSError):  # the visitor leaves, as it should in some tests
            self.model.next_act()(self)

    def tell(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, message: str) -> None:
        self.tell(status, {"error": {"message": message, "code": status}})

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def say(self, piece: str) -> None:
        self._chunk({"index": 0, "delta": {"content": piece}})

    def conclude(self) -> None:
        self._chunk({"index": 0, "delta": {}, "finish_reason": "stop"})
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, choice: dict[str, Any]) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": MODEL,
                 "choices": [choice]}  # fmt: skip
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    """It does one of `acts` for each request and the last of them ever after."""

    daemon_threads = True

    def __init__(self, acts: list[Act], port: int = 0, key: str = "") -> None:
        super().__init__(("127.0.0.1", port), Visit)
        self.acts, self.key = acts, key
        self.asked: list[dict[str, Any]] = []
        self.page = b""  # what a proxy before it says instead
        self.left = threading.Event()  # a visitor went away before the end

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next_act(self) -> Act:
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


@contextmanager
def talking(*acts: Act, port: int = 0, key: str = "") -> Iterator[Server]:
    server = Server(list(acts) or [saying("Hello")], port, key)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def saying(*pieces: str) -> Act:
    def act(visit: Visit) -> None:
        visit.begin()
        for piece in pieces:
            visit.say(piece)
        visit.conclude()

    return act


def refusing(status: int, message: str) -> Act:
    return lambda visit: visit.refuse(status, message)


def breaking_off(visit: Visit) -> None:
    """Says half of a reply and ends the line, which looks as if that were all."""
    visit.begin()
    visit.say("Half of")


def saying_nothing(visit: Visit) -> None:
    """Begins a reply and ends the line."""
    visit.begin()


def resetting(visit: Visit) -> None:
    """Says half of a reply, promises more, and cuts the line."""
    visit.send_response(200)
    visit.send_header("Content-Type", "text/event-stream")
    visit.send_header("Content-Length", "100000")
    visit.end_headers()
    visit.say("Half of")


def endless(visit: Visit) -> None:
    """Talks until its visitor is gone."""
    visit.begin()
    try:
        while True:
            visit.say("on ")
            time.sleep(0.02)
    except OSError:
        visit.model.left.set()


def silent(visit: Visit) -> None:
    """Hears, and says nothing until its visitor is gone."""
    visit.connection.settimeout(PATIENCE)
    visit.connection.recv(1)
    visit.model.left.set()
