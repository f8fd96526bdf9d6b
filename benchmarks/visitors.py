"""Visitors of a running app: `gradio_client` sessions that talk, stop, leave, reload, come again.

Each holds conversations of its own, about clips of its own, and knows what it should be told, which
is what the same conversation got from an idle app. Who leaves or reloads does so in the middle of a
reply: the page's connections are cut, and the app sees it go. This module does not know what the
app holds or how it is drawn.
"""

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import Any

import httpx
import soundfile
from gradio_client import Client, handle_file
from gradio_client.client import Job

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"
SPEECH = ("long-message.ogg", "man-table.flac", "woman-visit.flac")
CUT_SECONDS, STEP_SECONDS = 2.0, 0.1  # a clip is so much of the speech, from any such step on
CLIPS = 2  # of one conversation
QUESTIONS = ("What does the person say?", "And this one?", "Repeat what the person said first.")
GREEDY: dict[str, Any] = {"max_new_tokens": 48, "temperature": 0}
LONG: dict[str, Any] = {  # half of them take more than a second
    "max_new_tokens": 2000, "temperature": 5, "top_p": 1, "top_k": 1000, "repetition_penalty": 5,
}  # fmt: skip
INTERRUPTIONS = {"stopped": 0.05, "left": 0.05, "reloaded": 0.05}  # shares of the turns
MADE_SOONER = "made sooner"  # than it could be interrupted: chance ends some long replies at once
UNHARMED = frozenset(("right", MADE_SOONER, *INTERRUPTIONS))
HTTP_SECONDS = 60.0  # the client gives up after 5, and a hundred who come at once take longer
POLL_SECONDS = 0.02

Turn = tuple[str, Path | None]  # words, and a clip
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


class Line(httpx.Auth):
    """The connections on which a page is told things; no login, but httpx hands responses to it."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield request
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            self._open.append(response.extensions["network_stream"].get_extra_info("socket"))

    def cut(self) -> None:
        """As where a tab is closed: nobody says goodbye."""
        for one in self._open:
            with suppress(OSError):  # it had ended
                one.shutdown(socket.SHUT_RD)  # its reader finds the end of it, and closes it


def cuts(folder: Path) -> list[Path]:
    """All the different clips that there are: the example clips' speech, from each step on."""
    found = []
    for name in SPEECH:
        sound, rate = soundfile.read(EXAMPLES / name, dtype="float32")
        length, step = int(CUT_SECONDS * rate), int(STEP_SECONDS * rate)
        for start in range(0, len(sound) - length, step):
            found.append(folder / f"{len(found)}.wav")
            soundfile.write(found[-1], sound[start : start + length], rate)
    return found


def scripts(count: int, clips: Sequence[Path], rng: random.Random) -> list[Script]:
    """So many conversations of three turns, each about clips that no other one has.

    Raises:
        ValueError: there are too few clips.
    """
    if not 1 <= count <= len(clips) // CLIPS:
        raise ValueError(f"{count} conversations: there are clips for 1 to {len(clips) // CLIPS}")
    drawn = iter(rng.sample(clips, CLIPS * count))
    pairs = zip(drawn, drawn, strict=True)
    return [tuple(zip(QUESTIONS, (*pair, None), strict=True)) for pair in pairs]


def told_apart(expected: dict[Script, list[str]]) -> dict[str, int]:
    """The pairs of replies of two conversations, and those that differ: crossed, they are seen."""
    of_two = combinations(expected.values(), 2)
    differ = [mine != other for two in of_two for mine, other in product(*two)]
    return {"pairs": len(differ), "differ": sum(differ)}


def message(turn: Turn) -> dict[str, Any]:
    words, clip = turn
    return {"text": words, "files": [handle_file(clip)] if clip else []}


def opened(url: str, line: Line | None = None) -> Client:
    """A page of its own; without TLS, whose certificates would be read anew at every call."""
    http = {"timeout": HTTP_SECONDS, "auth": line}
    return Client(url, verbose=False, ssl_verify=False, httpx_kwargs=http)


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
    url: str,
    expected: dict[Script, list[str]],
    tally: Tally,
    enough: Callable[[], bool],
    rng: random.Random,
) -> None:
    """One user: a conversation after another, each on a page of its own.

    A page that is loaded anew begins its conversation anew.
    """
    outcome, script = "", ()
    while not enough():
        if outcome != "reloaded":
            script = rng.choice(list(expected))
        line = Line()
        client = opened(url, line)
        for turn, right in zip(script, expected[script], strict=True):
            outcome = _turn(client, turn, right, tally, rng)
            if outcome != "right":
                break
        line.cut()


def _turn(client: Client, turn: Turn, right: str, tally: Tally, rng: random.Random) -> str:
    """How it ended; who is going to interrupt a reply asks for a long one."""
    act = _drawn(rng)
    start, first, text = time.monotonic(), None, ""
    job = client.submit(message(turn), **(LONG if act else GREEDY), api_name="/chat")
    try:
        for text in pieces(job):
            if text and first is None:
                first = time.monotonic() - start
            if text and act:
                break
    except Exception as error:  # counted by its kind; the user begins anew
        told = str(error).partition(" (request ")[0]  # without the id, which is another each time
        tally.add(outcome := f"error: {type(error).__name__}: {told[:80]}")
        return outcome
    if act and job.done():
        act = MADE_SOONER
    outcome = act or ("right" if text == right else "lost" if not text else "wrong")
    if act == "stopped":
        job.cancel()
    tally.add(outcome, first)
    return outcome


def _drawn(rng: random.Random) -> str:
    """How this turn is to be interrupted; mostly not at all."""
    names, shares = list(INTERRUPTIONS), list(INTERRUPTIONS.values())
    return rng.choices([*names, ""], [*shares, 1 - sum(shares)])[0]


def crowd(
    url: str,
    users: int,
    expected: dict[Script, list[str]],
    tally: Tally,
    enough: Callable[[], bool],
) -> list[threading.Thread]:
    """The threads of so many users, who talk until it is enough.

    No two of them have a conversation in common where there are as many conversations as users.
    """
    scripts = list(expected)
    own = [scripts[number::users] or [scripts[number % len(scripts)]] for number in range(users)]
    threads = [
        threading.Thread(
            target=talk,
            args=(url, {one: expected[one] for one in mine}, tally, enough, random.Random(number)),
            daemon=True,
        )
        for number, mine in enumerate(own)
    ]
    for thread in threads:
        thread.start()
    return threads
