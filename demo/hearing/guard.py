"""Where a download connects to: public addresses only (unless allowed), until a deadline.

The address that was checked is the address that is connected to, for the first request and for
each redirect, so that neither a redirect nor a DNS name that changes its mind leads into a private
network. It knows nothing about files, sizes and sentences.
"""

import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from threading import Event
from typing import Any

import httpcore
import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
STEP_SECONDS = 0.5  # of waiting for what a server sends; between two of them a stop is seen
NAT64 = ipaddress.ip_network("64:ff9b::/96")
UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA gives out to the open internet
NOT_FOR_ALL = [
    ipaddress.ip_network(net)
    for net in (
        "192.0.0.0/24",  # protocols' own, and one cloud's metadata
        "192.88.99.0/24",  # relays that are no more
        "168.63.129.16/32",  # a cloud's service to its machines
        "3fff::/20",  # documentation, newer than Python's list
    )
]
REDIRECTS = range(300, 400)


class Private(httpcore.NetworkError):
    """The name leads into a private network; where to is not said, for it is the host's secret."""


class Watch:
    """What one download may do and where it has got to.

    `deadline` is on the clock of `time.monotonic`, and is now once `stop` is set; `host` is the
    one connected to last.
    """

    def __init__(self, deadline: float, allow_private: bool, stop: Event | None = None) -> None:
        self.deadline = deadline
        self.allow_private = allow_private
        self.stop = stop or Event()
        self.host = ""

    def is_over(self) -> bool:
        return self.stop.is_set() or time.monotonic() >= self.deadline

    def seconds_left(self, at_most: float | None = None) -> float:
        """Raises: httpcore.ReadTimeout: when the time for the whole download is over."""
        if self.is_over():
            raise httpcore.ReadTimeout("the deadline has passed")
        return min(self.deadline - time.monotonic(), math.inf if at_most is None else at_most)


class Transport(httpx.BaseTransport):
    """httpx's transport over a connection pool with a network backend of our own."""

    def __init__(self, watch: Watch) -> None:
        self._pool = httpcore.ConnectionPool(network_backend=_Backend(watch))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https"):  # a redirect may name any scheme
            raise httpx.UnsupportedProtocol(request.url.scheme, request=request)
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=url,
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        if answer.status in REDIRECTS:  # httpx would read, and unpack, all of its body
            answer.stream.close()  # pyright: ignore[reportAttributeAccessIssue]
            where = [pair for pair in answer.headers if pair[0].lower() == b"location"]
            return httpx.Response(answer.status, headers=where)
        body = _Body(answer.stream)
        return httpx.Response(answer.status, headers=answer.headers, stream=body)

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Backend(httpcore.NetworkBackend):
    """Connects to public addresses only (unless allowed), and only until the deadline."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self._watch.host = host
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            patience = self._watch.seconds_left(timeout)
            try:
                stream = self._sockets.connect_tcp(str(address), port, timeout=patience)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Timed(stream, self._watch)
        raise failure

    def _addresses(self, host: str, port: int) -> list[Address]:
        """Where `host` is; all of its addresses are public, or it is refused."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
        for address in addresses:
            if not (self._watch.allow_private or is_public(address)):
                raise Private(host)
        return addresses


class _Timed(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline of the watch."""

    def __init__(self, stream: httpcore.NetworkStream, watch: Watch) -> None:
        self._stream = stream
        self._watch = watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        last = time.monotonic() + self._watch.seconds_left(timeout)
        while True:
            step = min(STEP_SECONDS, max(0.001, last - time.monotonic()))
            try:
                return self._stream.read(max_bytes, step)
            except httpcore.ReadTimeout:
                if self._watch.is_over() or time.monotonic() >= last:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._watch.seconds_left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        patience = self._watch.seconds_left(timeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, patience), self._watch)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def is_public(address: Address) -> bool:
    """Whether `address`, or the IPv4 address that it carries, is one of the open internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner:
            return is_public(inner)
        if address.teredo or address not in UNICAST:
            return False
    if any(address in net for net in NOT_FOR_ALL):
        return False
    return address.is_global and not address.is_multicast
