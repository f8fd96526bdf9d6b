"""A hub of our own, which serves a folder's files whole, in part or not at all."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs


class Hub(BaseHTTPRequestHandler):
    """As much of the two hubs' file APIs as a download asks for, over the files of a folder."""

    folder: Path
    status = 200
    breaks: str | None = None  # the file in whose middle it hangs up, once
    stalls: str | None = None  # the file whose second half does not come
    away = 0.0  # and is not there for so many seconds
    back = 0.0  # the time at which it is there again
    ended: threading.Event
    resumed: list[str]  # the files of which it was asked for the rest
    claimed = 0  # bytes that ModelScope's list says of each file, beside its own

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def _answer(self, body: bool) -> None:
        path, _, query = self.path.partition("?")
        if time.monotonic() < self.back:
            self.close_connection = True
        elif self.status != 200:
            code = "GatedRepo" if self.status == 403 else "RepoNotFound"
            self._send(self.status, b"{}", body, {"X-Error-Code": code})
        elif path in ("/api/models/me/mine/revision/main", "/api/models/me/mine"):
            self._send(200, json.dumps({"id": "me/mine", "sha": "a" * 40}).encode(), body)
        elif path.startswith("/api/models/me/mine/tree/"):
            self._send(200, json.dumps(self._tree()).encode(), body)
        elif path == "/api/v1/models/me/mine/repo/files":
            self._send(200, json.dumps({"Code": 200, "Data": self._listing()}).encode(), body)
        else:
            names = parse_qs(query).get("FilePath", [path])
            self._send_file(self.folder / Path(names[0]).name, body)

    def _listing(self) -> dict[str, Any]:
        """ModelScope's form of `_tree`."""
        return {
            "Files": [
                {
                    "Path": file.name,
                    "Name": file.name,
                    "Type": "blob",
                    "Size": file.stat().st_size + self.claimed,
                    "Sha256": sha256(file.read_bytes()).hexdigest(),
                }
                for file in self.folder.iterdir()
            ]
        }

    def _tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": etag(file)}
            for file in self.folder.iterdir()
        ]

    def _send_file(self, file: Path, body: bool) -> None:
        known = {"ETag": f'"{etag(file)}"', "X-Repo-Commit": "a" * 40}
        content, asked = file.read_bytes(), self.headers.get("Range")
        if body and file.name == self.breaks:
            type(self).breaks, type(self).back = None, time.monotonic() + self.away
            self.close_connection = True
            self._send(200, content, False, known)
            self.wfile.write(content[: len(content) // 2])
        elif body and file.name == self.stalls:
            self._send(200, content, False, known)
            self.wfile.write(content[: len(content) // 2])
            self.ended.wait()
        elif body and asked:
            self.resumed.append(file.name)
            first, _, last = asked.removeprefix("bytes=").partition("-")
            self._send(206, content[int(first) : int(last or len(content)) + 1], body, known)
        else:
            self._send(200, content, body, known)

    def _send(
        self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # who asks in several parts leaves the others where one breaks off
            self.wfile.write(content if body else b"")


def etag(file: Path) -> str:
    return sha1(file.read_bytes()).hexdigest()


@contextmanager
def serving(
    folder: Path,
    status: int = 200,
    breaks: str | None = None,
    stalls: str | None = None,
    away: float = 0.0,
    claimed: int = 0,
    resumed: list[str] | None = None,
) -> Iterator[str]:
    """Its address; `resumed` is told the names of the files of which only the rest was wanted."""
    ended = threading.Event()
    own = {"folder": folder, "status": status, "breaks": breaks, "stalls": stalls, "away": away,
           "claimed": claimed, "ended": ended,
           "resumed": [] if resumed is None else resumed}  # fmt: skip
    handler = type("Here", (Hub,), own)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        ended.set()
        server.shutdown()
        thread.join()
