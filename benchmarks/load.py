"""Many users at once: does each get the own reply, how soon, and is all given back afterwards?

`python -m benchmarks.load` starts the app and lets 1, 8, 32 and 100 users talk with it, each a
`gradio_client` session with conversations of its own, some of which stop, leave or come anew. It
prints a table and, last, one line of JSON. With `--minutes` it goes on for so long with
`--soak-users` instead, and `--plot FILE` draws that. What a reply should be is what the same
conversation got from an idle app. `--settle` waits at the end until the app has forgotten who left.
"""

import argparse
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from gradio_client import Client, handle_file

from benchmarks.talking import machine
from tests.serving import Served, serving

CLIPS = Path(__file__).parents[1] / "assets" / "examples"
QUESTIONS = ("What is that sound?", "What does the person say?", "And this one?")
SOUNDS = ("glass-breaking", "woman-visit", "four-knocks", "siren-loud", "bird-quiet")
GREEDY: dict[str, Any] = {"max_new_tokens": 48, "temperature": 0}
STOPS, LEAVES = 0.05, 0.05  # shares of the turns that are stopped, and after which a user leaves
SETTLE_SECONDS = 5.0
SAMPLE_SECONDS = 15.0

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


@dataclass(frozen=True)
class Held:
    """What the app's process holds."""

    bytes: int
    threads: int
    files: int

    @classmethod
    def by(cls, app: Served) -> "Held":
        process = psutil.Process(app.process.pid)
        family = [process, *process.children(recursive=True)]
        resident = sum(one.memory_info().rss for one in family)
        return cls(resident, process.num_threads(), process.num_fds())


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


def alone(url: str, asked: Sequence[Script]) -> dict[Script, list[str]]:
    """What each conversation gets where nobody else talks."""
    replies = {}
    for script in asked:
        client = Client(url, verbose=False)
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
        client = Client(url, verbose=False)
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
        for text in job:
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


def measured(
    app: Served, users: int, replies: int, expected: dict[Script, list[str]]
) -> dict[str, Any]:
    """One row: so many users, until there are so many replies."""
    tally, before, start = Tally(), Held.by(app), time.monotonic()
    for thread in crowd(app.url, users, expected, tally, lambda: tally.ended.total() >= replies):
        thread.join()
    took = time.monotonic() - start
    time.sleep(SETTLE_SECONDS)
    p50, p95, p99 = np.percentile(tally.firsts or [0], (50, 95, 99))
    return {
        **{"users": users, "replies": tally.ended.total(), "seconds": took},
        **{"p50": p50, "p95": p95, "p99": p99, "ended": dict(tally.ended)},
        **{"before": vars(before), "after": vars(Held.by(app))},
    }


def soaked(
    app: Served, users: int, minutes: float, expected: dict[Script, list[str]]
) -> dict[str, Any]:
    """The same users for a long time; what is held and answered, sample by sample."""
    tally, end = Tally(), time.monotonic() + 60 * minutes
    track: list[dict[str, int]] = []
    threads = crowd(app.url, users, expected, tally, lambda: time.monotonic() > end)
    while time.monotonic() < end:
        track.append({**vars(Held.by(app)), "replies": tally.ended.total()})
        time.sleep(SAMPLE_SECONDS)
    for thread in threads:
        thread.join()
    time.sleep(SETTLE_SECONDS)
    track.append({**vars(Held.by(app)), "replies": tally.ended.total()})
    return {"users": users, "minutes": minutes, "ended": dict(tally.ended), "track": track}


def row(one: dict[str, Any]) -> str:
    ended, before, after = one["ended"], one["before"], one["after"]
    wrong = sum(count for name, count in ended.items() if name not in ("right", "stopped"))
    return (
        f"{one['users']:>5}  {one['replies']:>7}  {one['replies'] / one['seconds']:>8.2f}  "
        f"{one['p50']:>6.2f} {one['p95']:>6.2f} {one['p99']:>6.2f}  {wrong:>5}  "
        f"{before['bytes'] / 1e6:>6.0f} {after['bytes'] / 1e6:>6.0f}  "
        f"{before['threads']:>3} {after['threads']:>3}  {before['files']:>3} {after['files']:>3}"
    )


def plot(result: dict[str, Any], file: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (memory, replies) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
    minutes = np.arange(len(result["track"])) * SAMPLE_SECONDS / 60
    memory.plot(minutes, [one["bytes"] / 1e6 for one in result["track"]])
    memory.set(xlabel="minutes", ylabel="MB held", ylim=(0, None))
    replies.plot(minutes, [one["replies"] for one in result["track"]])
    replies.set(xlabel="minutes", ylabel="replies")
    figure.savefig(file, dpi=150)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[1, 8, 32, 100])
    parser.add_argument("--replies", type=int, default=500, help="for each number of users")
    parser.add_argument("--conversations", type=int, default=12, help="different ones")
    parser.add_argument("--minutes", type=float, help="soak instead")
    parser.add_argument("--soak-users", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--settle", type=float, default=0, help="seconds to wait at the end")
    options = parser.parse_args(arguments)
    flags = ["--model", "preview", "--dtype", "float32", "--max-waiting", "200"]
    result: dict[str, Any] = {"machine": machine("cpu")}
    with TemporaryDirectory() as folder, serving(Path(folder) / "log", *flags) as app:
        expected = alone(app.url, scripts(options.conversations, random.Random(0)))
        if options.minutes:
            result["soak"] = soaked(app, options.soak_users, options.minutes, expected)
        else:
            print("users  replies  a second  first: p50    p95    p99  wrong  MB before/after  "
                  "threads  files")  # fmt: skip
            result |= {"rows": [], "before": vars(Held.by(app))}
            for users in options.users:
                result["rows"].append(measured(app, users, options.replies, expected))
                print(row(result["rows"][-1]), flush=True)
        time.sleep(options.settle)
        result["afterwards"] = vars(Held.by(app))
        print(f"{result['afterwards']['bytes'] / 1e6:.0f} MB after {options.settle:.0f} s more")
    if options.plot and "soak" in result:
        plot(result["soak"], options.plot)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
