"""What a host's machines ask the app: `/healthz`, `/readyz`, `/metrics`.

Health is that the process answers; ready is that its model does and it is not about to end. The
numbers are for whoever has an account, where there are accounts.
"""

from base64 import b64decode
from collections.abc import Sequence
from secrets import compare_digest
from threading import Event

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from demo.loading import Loading
from demo.watching import Watch

FORMAT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' own
Accounts = Sequence[tuple[str, str]]


def routes(loading: Loading, watch: Watch, ending: Event, accounts: Accounts = ()) -> list[Route]:
    """The three pages; `ending` is set once no new request should come."""

    def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(request: Request) -> Response:
        phase = "ending" if ending.is_set() else loading.status().phase
        return PlainTextResponse(f"{phase}\n", 200 if phase == "ready" else 503)

    def metrics(request: Request) -> Response:
        if accounts and not _known(request.headers.get("authorization", ""), accounts):
            asking = {"WWW-Authenticate": 'Basic realm="metrics"'}
            return PlainTextResponse("for accounts only\n", 401, asking)
        return Response(watch.numbers(), media_type=FORMAT)

    return [Route(f"/{page.__name__}", page) for page in (healthz, readyz, metrics)]


def _known(header: str, accounts: Accounts) -> bool:
    """Whether a Basic authorization is an account's."""
    kind, _, coded = header.partition(" ")
    try:
        given = b64decode(coded, validate=True) if kind.lower() == "basic" else b""
    except ValueError:
        return False
    return any(compare_digest(given, f"{name}:{password}".encode()) for name, password in accounts)
