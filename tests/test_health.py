"""What a host's machines are told of an app, without a server."""

from threading import Event

from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo.engine import Load
from demo.health import routes
from demo.loading import Loading
from demo.watching import Watch
from tests.ui_parts import Parrot


class Remote(Parrot):
    """Whose servers come and go."""

    up = True

    def load(self) -> Load:
        return Load(0, 0, up=self.up)


def test_an_app_whose_servers_are_gone_is_healthy_and_not_ready():
    engine = Remote()
    client = TestClient(Starlette(routes=routes(Loading.of(engine), Watch(), Event())))
    for up, status, told in (
        (True, 200, "ready"),
        (False, 503, "unreachable"),
        (True, 200, "ready"),
    ):
        engine.up = up
        answer = client.get("/readyz")
        assert (answer.status_code, answer.text) == (status, f"{told}\n")
        assert client.get("/healthz").status_code == 200
