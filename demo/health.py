"""What a host's machines ask the app: `/healthz`, `/readyz`, `/metrics`.

Health is that the process answers; ready is that its model does and it is not about to end. Where
there are accounts, `demo.gate` keeps the numbers for those who have one.
"""

from threading import Event

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from demo.loading import Loading
from demo.watching import Watch

FORMAT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' own


def routes(loading: Loading, watch: Watch, ending: Event) -> list[Route]:
    """The three pages; `ending` is set once no new request should come."""

    def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(request: Request) -> Response:
        phase = "ending" if ending.is_set() else loading.status().phase
        if phase == "ready" and (engine := loading.engine()) and not engine.load().up:
            phase = "unreachable"
        return PlainTextResponse(f"{phase}\n", 200 if phase == "ready" else 503)

    def metrics(request: Request) -> Response:
        return Response(watch.numbers(), media_type=FORMAT)

    return [Route(f"/{page.__name__}", page) for page in (healthz, readyz, metrics)]
