"""A web server on loopback that serves sound well and badly."""

import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.serving import PATIENCE
from tests.sounds import wav

SOUND = wav()
CHUNK = bytes(1 << 16)
SOON = 9  # seconds: a download ends after ten without a byte, and after sixty in any case


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        page, _, query = self.path.partition("?")
        with suppress(OSError):  # the visitor leaves, as a visitor of the endless pages must
            getattr(self, f"get_{page.strip('/').partition('.')[0]}")(query)

    def start(self, kind: str = "audio/wav", **headers: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def get_tone(self, query: str) -> None:
        self.start(Content_Length=str(len(SOUND)))
        self.wfile.write(SOUND)

    def get_slow(self, query: str) -> None:
        """The whole sound, within three seconds."""
        self.start(Content_Length=str(len(SOUND)))
        for start in range(0, len(SOUND), len(SOUND) // 10):
            self.wfile.write(SOUND[start : start + len(SOUND) // 10])
            time.sleep(0.3)

    def get_moved(self, query: str) -> None:
        self.send_response(302)
        self.send_header("Location", query)
        self.end_headers()

    def get_heavy(self, query: str) -> None:
        """Moved, with a body that has no end and unpacks to a thousand times its size."""
        self.send_response(302)
        self.send_header("Location", query)
        self.send_header("Content-Encoding", "deflate")
        self.end_headers()
        packer = zlib.compressobj()
        while True:
            self.wfile.write(packer.compress(CHUNK) + packer.flush(zlib.Z_SYNC_FLUSH))

    def get_circle(self, query: str) -> None:
        self.get_moved("/circle")

    def get_gone(self, query: str) -> None:
        self.send_error(404)

    def get_broken(self, query: str) -> None:
        self.send_error(500)

    def get_page(self, query: str) -> None:
        self.start("text/html; charset=utf-8")
        self.wfile.write(b"<html>hello</html>")

    def get_nothing(self, query: str) -> None:
        self.start()

    def get_endless(self, query: str) -> None:
        self.start()
        while True:
            self.wfile.write(CHUNK)

    def get_large(self, query: str) -> None:
        self.start(Content_Length=str(10**12))

    def get_dripping(self, query: str) -> None:
        self.start()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.02)

    def get_dripping_head(self, query: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-More: x\r\n")
            time.sleep(0.02)

    def get_stalled(self, query: str) -> None:
        self.start()
        self.wfile.write(SOUND[:1000])
        self.server.stopping.wait(PATIENCE)  # type: ignore[attr-defined]

    def get_cut(self, query: str) -> None:
        self.start(Content_Length=str(len(SOUND)))
        self.wfile.write(SOUND[:1000])

    def get_bomb(self, query: str) -> None:
        """Megabytes of zeros in each few kilobytes."""
        packer = zlib.compressobj(wbits=31)
        self.start(Content_Encoding="gzip")
        while True:
            self.wfile.write(packer.compress(bytes(1 << 22)) + packer.flush(zlib.Z_SYNC_FLUSH))

    def get_brotli(self, query: str) -> None:
        self.start(Content_Encoding="br")
        self.wfile.write(SOUND)

    def get_noise(self, query: str) -> None:
        self.wfile.write(b"220 this is no web server\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.stopping = threading.Event()


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a running server, without a slash at its end."""
    server = _Server(host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
