"""Crowds before a running app: requests without a wait, its numbers, slow clips, a model."""

from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.openai_server import Server, saying, talking
from tests.serving import PATIENCE, Served, until
from tests.test_hosting import asked
from tests.web import serving

HELLO = [{"role": "user", "content": "hello"}]


def about(url: str | dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "audio", "audio_url": url}]}]


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def model() -> Iterator[Server]:
    with talking(saying("I hear it.")) as model:
        yield model


def numbers(app: Served) -> str:
    return asked(f"{app.url}/metrics")[1]


def until_number(app: Served, name: str, value: float, within: float = PATIENCE) -> None:
    """Returns once one of the app's numbers is `value`."""
    until(lambda: f"{name} {value:.1f}" in numbers(app), within)


def join(
    app: Served,
    conversation: list[dict[str, Any]],
    times: int,
    page: str = "crowd",
    by: str = "",
    options: Sequence[float | None] = (8, *5 * [None]),
) -> None:
    """Asks /generate so often, all as one page at an address, without waiting for a reply."""
    config = httpx.get(f"{app.url}/config").json()
    (place,) = (one["id"] for one in config["dependencies"] if one["api_name"] == "generate")
    body = {"data": [conversation, *options], "fn_index": place, "session_hash": page}
    headers = {"X-Forwarded-For": by} if by else {}
    with httpx.Client(timeout=PATIENCE, headers=headers) as client:
        for _ in range(times):
            client.post(f"{app.url}/gradio_api/queue/join", json=body).raise_for_status()
