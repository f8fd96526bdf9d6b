"""Whose address a request comes from, where a proxy or Gradio's own MCP client stands between.

Uvicorn takes it from X-Forwarded-For, of proxies that it may trust: this machine's, or those that
FORWARDED_ALLOW_IPS names, addresses and networks with commas between. This module knows no page.
"""

from collections.abc import MutableMapping

from starlette.types import ASGIApp, Receive, Scope, Send

from demo.exposure import is_hosted

TRUSTED = "FORWARDED_ALLOW_IPS"
# Where a Space's or a Studio's proxy is; nobody else reaches the app there.
PRIVATE = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"
HEADER = b"x-forwarded-for"


def trust_own_proxy(environ: MutableMapping[str, str]) -> None:
    """Lets Uvicorn trust the proxy of a Space or a Studio, where the host names no other."""
    if is_hosted(environ):
        environ.setdefault(TRUSTED, PRIVATE)


class Forwarded:
    """ASGI middleware: what the header says is what was found true.

    Gradio's MCP client, which comes from this machine and so is trusted, hands on its caller's
    headers: without this a caller could name any address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            told = [pair for pair in scope["headers"] if pair[0].lower() != HEADER]
            if client := scope.get("client"):
                told.append((HEADER, client[0].encode("latin-1", "replace")))
            scope = {**scope, "headers": told}
        await self.app(scope, receive, send)
