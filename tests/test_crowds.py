"""The app under requests whose clips come slowly, and whose model does not come at all."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client

from tests.crowd_parts import HELLO, about, join, numbers, until_number
from tests.crowd_parts import model as model
from tests.crowd_parts import web as web
from tests.mcp_parts import call
from tests.openai_server import Server, Visit, saying, talking
from tests.serving import PATIENCE, Served, until
from tests.serving import serving as app_serving
from tests.test_hosting import number
from tests.web import SOON

pytestmark = pytest.mark.slow

MANY = 40  # requests of one page, which may have eight


@pytest.fixture
def app(tmp_path: Path, model: Server, request: pytest.FixtureRequest) -> Iterator[Served]:
    """A front end, with the seconds of grace that a test may ask for."""
    flags = ["--engine", "openai", "--base-url", model.url, "--allow-private-urls"]
    with app_serving(
        tmp_path / "log", *flags, "--grace-seconds", getattr(request, "param", "1")
    ) as app:
        yield app


def test_many_slow_downloads_of_one_page_hold_up_nobody(app: Served, web: str):
    join(app, about(f"{web}/dripping.wav"), MANY)
    until_number(app, 'demo_requests_total{outcome="yours"}', MANY - 8)
    assert number(numbers(app), "demo_waiting") == 8
    assert number(numbers(app), "demo_running") == 0
    other = Client(app.url, verbose=False)
    for conversation in (HELLO, about(f"{web}/tone.wav")):
        assert other.predict(conversation, api_name="/generate") == "I hear it."
    assert number(numbers(app), "demo_waiting") == 8  # still: a download may take a minute


def test_a_stopped_request_leaves_its_download(app: Served, web: str):
    job = Client(app.url, verbose=False).submit(about(f"{web}/dripping.wav"), api_name="/generate")
    until_number(app, "demo_waiting", 1)
    until(lambda: bool(job.communicator and job.communicator.event_id))  # else it cancels nothing
    job.cancel()
    until_number(app, "demo_waiting", 0, SOON)


@pytest.mark.parametrize("app", ["60"], indirect=True)
def test_a_reply_whose_clip_is_still_coming_is_finished_when_the_app_is_asked_to_end(
    app: Served, web: str
):
    job = Client(app.url, verbose=False).submit(about(f"{web}/slow.wav"), api_name="/generate")
    until_number(app, "demo_waiting", 1)
    app.process.terminate()
    assert job.result(timeout=PATIENCE) == "I hear it."
    assert app.process.wait(20) == 0


def test_a_request_that_waits_for_a_server_that_is_not_there_can_be_cancelled(tmp_path: Path):
    flags = ["--engine", "openai", "--base-url", "http://127.0.0.1:9/v1"]
    with app_serving(tmp_path / "log", *flags, ready=False) as app:
        job = Client(app.url, verbose=False).submit(HELLO, api_name="/generate")
        until(lambda: bool(job.outputs()))
        job.cancel()
        until_number(app, 'demo_requests_total{outcome="stopped"}', 1)


def test_mcp_clients_do_not_take_each_others_places(tmp_path: Path):
    def slow(visit: Visit) -> None:
        time.sleep(2)
        saying("I hear it.")(visit)

    async def calls(url: str, count: int) -> list[str]:
        asked = {"conversation": HELLO}
        tasks = [call(url, "generate", asked) for _ in range(count)]
        return await asyncio.gather(*tasks)

    with talking(slow) as model:
        flags = ["--engine", "openai", "--base-url", model.url, "--mcp", "--max-per-user", "2"]
        with app_serving(tmp_path / "log", *flags) as app:
            for count in (1, 6):
                assert asyncio.run(calls(app.url, count)) == ["I hear it."] * count
