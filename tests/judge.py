"""A server of chat completions on loopback, which gives scores as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[dict[str, Any]], str | int]
"""What the judge says to a request's body; a number is an HTTP status, "<" begins a page."""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server: Any = self.server
        server.heard.append((self.path, self.headers.get("Authorization"), body))
        said = server.reply(body)
        if isinstance(said, int):
            self.send_error(said)
        elif said.startswith("<"):
            self._send(said.encode(), "text/html")
        else:
            self._send(self._completion(body["model"], said), "application/json")

    @staticmethod
    def _completion(model: str, said: str) -> bytes:
        choice = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": said}
        known = {"id": "1", "object": "chat.completion", "created": 0, "model": model}
        return json.dumps({**known, "choices": [choice]}).encode()

    def _send(self, text: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def judging(reply: Reply) -> Iterator[tuple[str, list[tuple[str, str | None, dict[str, Any]]]]]:
    """The base URL of a running judge, and what it is asked: path, authorization, body."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.reply, server.heard = reply, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", server.heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
