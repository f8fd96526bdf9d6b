"""Visitors of a running app: `gradio_client` sessions that talk, stop, leave and come again.

Each holds one of a few conversations and knows what it should be told, which is what the same
conversation got from an idle app. This module does not know what the app holds or how it is drawn.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file
from gradio_client.client import Job

CLIPS = Path(__file__).parents[1] / "assets" / "examples"
QUESTIONS = ("What is that sound?", "What does the person say?", "And this one?")
SOUNDS = ("glass-breaking", "woman-visit", "four-knocks", "siren-loud", "bird-quiet")
GREEDY: dict[str, Any] = {"max_new_tokens": 48, "temperature": 0}
STOPS, LEAVES = 0.05, 0.05  # shares of the turns that are stopped, and after which a user leaves
HTTP_SECONDS = 60.0  # the client gives up after 5, and a hundred who come at once take longer
POLL_SECONDS = 0.02

Turn = tuple[str, str | None]  # words, and the name of a clip
Script = tuple[Turn, ...]


@dataclass
class Tally:
    """What all users have met; shared by their threads."""

    firsts: list[float] = field(default_factory=list)  # seconds to the first word
    ended: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: str, first: float | None = None) -> None:
        with self.lock:
            self.ended[outcome] += 1
            if first is not None:
                self.firsts.append(first)


def scripts(count: int, rng: random.Random) -> list[Script]:
    """Conversations of three turns, no two alike."""
    found: set[Script] = set()
    while len(found) < count:
        first, second = rng.sample(SOUNDS, 2)
        words = rng.choice(QUESTIONS[:2])
        found.add(((words, first), (QUESTIONS[2], second), ("What was the first sound?", None)))
    return sorted(found, key=str)


def message(turn: Turn) -> dict[str, Any]:
    words, clip = turn
    return {"text": words, "files": [handle_file(CLIPS / f"{clip}.flac")] if clip else []}


def opened(url: str) -> Client:
    """A page of its own; without TLS, whose certificates would be read anew at every call."""
    return Client(url, verbose=False, ssl_verify=False, httpx_kwargs={"timeout": HTTP_SECONDS})


def pieces(job: Job) -> Iterator[str]:
    """The reply so far, again and again, and all of it; raises what went wrong.

    A loop over the job itself asks a thousand times a second and never ends where it failed.
    """
    while not job.done():
        time.sleep(POLL_SECONDS)
        if found := job.outputs():
            yield str(found[-1])
    yield str(job.result())


def alone(url: str, asked: Sequence[Script]) -> dict[Script, list[str]]:
    """What each conversation gets where nobody else talks."""
    replies = {}
    for script in asked:
        client = opened(url)
        replies[script] = [
            client.predict(message(turn), **GREEDY, api_name="/chat") for turn in script
        ]
    return replies


def talk(
    url: str, expected: dict[Script, list[str]], tally: Tally, enough: Callable[[], bool], seed: int
) -> None:
    """One user: a conversation after another, each on a page of its own."""
    rng = random.Random(seed)
    while not enough():
        client = opened(url)
        script = rng.choice(list(expected))
        for turn, right in zip(script, expected[script], strict=True):
            if not _turn(client, turn, right, tally, rng) or rng.random() < LEAVES:
                break


def _turn(client: Client, turn: Turn, right: str, tally: Tally, rng: random.Random) -> bool:
    """Whether the conversation can go on: a stopped turn is not in it."""
    start = time.monotonic()
    job = client.submit(message(turn), **GREEDY, api_name="/chat")
    first, text = None, ""
    try:
        for text in pieces(job):
            if text and first is None:
                first = time.monotonic() - start
                if rng.random() < STOPS:
                    job.cancel()
                    tally.add("stopped", first)
                    return False
    except Exception as error:  # counted by its kind; the user begins anew
        tally.add(f"error: {type(error).__name__}: {str(error)[:80]}")
        return False
    tally.add("right" if text == right else "lost" if not text else "wrong", first)
    return text == right


def crowd(
    url: str,
    users: int,
    expected: dict[Script, list[str]],
    tally: Tally,
    enough: Callable[[], bool],
) -> list[threading.Thread]:
    """The threads of so many users, who talk until it is enough."""
    threads = [
        threading.Thread(target=talk, args=(url, expected, tally, enough, seed), daemon=True)
        for seed in range(users)
    ]
    for thread in threads:
        thread.start()
    return threads
