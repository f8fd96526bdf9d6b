"""Whose address a request comes from, where a proxy or Gradio's own MCP client stands between.

Uvicorn takes it from X-Forwarded-For, of proxies that it may trust: this machine's, and those that
FORWARDED_ALLOW_IPS names, addresses and networks with commas between. This module knows no page.
"""

import ipaddress
import logging
from collections.abc import MutableMapping

from starlette.types import ASGIApp, Receive, Scope, Send

from demo.exposure import is_hosted

TRUSTED = "FORWARDED_ALLOW_IPS"
EVERYONE = "*"
LOCAL = "127.0.0.0/8,::1"
# Where a Space's or a Studio's proxy is; nobody else reaches the app there.
PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"
HEADER = b"x-forwarded-for"

log = logging.getLogger(__name__)


def trust_proxies(environ: MutableMapping[str, str], host: str | None = None) -> None:
    """Lets Uvicorn trust this machine (its `host` too), a Space's or a Studio's proxy, and those
    that the variable names.
    """
    named = environ.get(TRUSTED, PRIVATE if is_hosted(environ) else "")
    own = [] if host in (None, "", "0.0.0.0", "::") else [str(host)]  # by it Gradio calls itself
    environ[TRUSTED] = (
        EVERYONE if named == EVERYONE else ",".join(filter(None, [LOCAL, *own, named]))
    )


def address_of(scope: Scope) -> str:
    """Where a request comes from; "" where that is not known."""
    return (scope.get("client") or ("", 0))[0]


class Forwarded:
    """ASGI middleware: what the header says is what was found true.

    Gradio's MCP client, which comes from this machine and so is trusted, hands on its caller's
    headers: without this a caller could name any address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            address = address_of(scope)
            told = [value for key, value in scope["headers"] if key.lower() == HEADER]
            if told and not self._warned:
                self._warn(address, b",".join(told).decode("latin-1"))
            headers = [pair for pair in scope["headers"] if pair[0].lower() != HEADER]
            headers.append((HEADER, address.encode("latin-1", "replace")))
            scope = {**scope, "headers": headers}
        await self.app(scope, receive, send)

    def _warn(self, address: str, told: str) -> None:
        """Once, where a proxy on a private network says who calls and Uvicorn does not trust it."""
        if address in told or not _is_private(address):
            return
        self._warned = True
        log.warning(
            "Visitors come by a proxy at %s that is not trusted to tell their addresses, so all of "
            "them share the limits of one: name it in %s.",
            *(address, TRUSTED),
        )


def _is_private(address: str) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(known in ipaddress.ip_network(network) for network in PRIVATE.split(","))
