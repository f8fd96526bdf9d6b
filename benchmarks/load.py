"""Many users at once: does each get the own reply, how soon, and is all given back afterwards?

`python -m benchmarks.load` starts the app and lets 1, 8, 32 and 100 users talk with it, each a
`gradio_client` session with conversations and clips of its own; in the middle of a reply some stop
it, some leave, and some load the page anew. It prints a table and, last, one line of JSON. With
`--minutes` it goes on for so long with `--soak-users` instead, and `--plot FILE` draws that.

What a reply should be is what the same conversation got from an idle app. Another's reply is
noticed where it differs from the own: `told_apart` in the JSON tells for how many of the pairs of
replies of two conversations that is so. `--settle` waits so many seconds before the last look at
what the app holds, which by then should have forgotten who left. If it has not, or a reply was
wrong or lost, the end says so, with exit status 1.
"""

import argparse
import gc
import json
import random
import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import numpy as np
import psutil

from benchmarks.talking import machine
from benchmarks.visitors import (
    CLIPS,
    INTERRUPTIONS,
    UNHARMED,
    Script,
    Tally,
    alone,
    crowd,
    cuts,
    scripts,
    told_apart,
)
from demo.uploads import is_mark
from tests.serving import Served, serving

SETTLE_SECONDS = 5.0
WARM_USERS = 8
WARM_REPLIES = 100  # what is held before the rows is what a running app holds
SAMPLE_SECONDS = 15.0
GROWTH = 1.1  # of what is held beside what is kept: the allocator's arenas differ by some percent
UPLOADS = "uploads"  # the app's folder for them, beside its log
NOTICED = 0.9  # of the replies that were interrupted: chance ends some before the app has seen it
SPARE = 5  # threads and files by which one look differs from the next, of those that end when idle
INTERRUPTED = re.compile(r'^demo_requests_total{outcome="stopped"} (\S+)', re.MULTILINE)
KEPT = re.compile(r'^demo_bytes{what="(?:clips|conversations)"} (\S+)', re.MULTILINE)


@dataclass(frozen=True)
class Held:
    """What the app's process holds; `kept` of its bytes are what it keeps for later turns.

    `uploads` are the files in its folder of uploads, and `interrupted` the replies that it has seen
    stopped or their readers gone.
    """

    bytes: int
    kept: int
    threads: int
    files: int
    uploads: int
    interrupted: int

    @classmethod
    def by(cls, app: Served) -> "Held":
        process = psutil.Process(app.process.pid)
        family = [process, *process.children(recursive=True)]
        numbers = urlopen(f"{app.url}/metrics", timeout=60).read().decode()
        kept, interrupted = (
            int(sum(map(float, name.findall(numbers)))) for name in (KEPT, INTERRUPTED)
        )
        resident = sum(one.memory_info().rss for one in family)
        found = app.log_file.with_name(UPLOADS).rglob("*")
        uploads = sum(one.is_file() and not is_mark(one) for one in found)
        threads, files = process.num_threads(), process.num_fds()
        return cls(resident, kept, threads, files, uploads, interrupted)


def settle(seconds: float = SETTLE_SECONDS) -> None:
    """Waits until the visitors' pages are left: a client does so when it is collected."""
    gc.collect()
    time.sleep(seconds)


def talked(app: Served, users: int, replies: int, expected: dict[Script, list[str]]) -> Tally:
    """What so many users met until there were so many replies."""
    tally = Tally()
    for thread in crowd(app.url, users, expected, tally, lambda: tally.ended.total() >= replies):
        thread.join()
    return tally


def measured(
    app: Served, users: int, replies: int, expected: dict[Script, list[str]]
) -> dict[str, Any]:
    """One row: so many users, until there are so many replies."""
    before, start = Held.by(app), time.monotonic()
    tally = talked(app, users, replies, expected)
    took = time.monotonic() - start
    settle()
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
    settle()
    track.append({**vars(Held.by(app)), "replies": tally.ended.total()})
    return {"users": users, "minutes": minutes, "ended": dict(tally.ended), "track": track}


def row(one: dict[str, Any]) -> str:
    ended, before, after = one["ended"], one["before"], one["after"]
    wrong = sum(harmed(ended).values())
    return (
        f"{one['users']:>5}  {one['replies']:>7}  {one['replies'] / one['seconds']:>8.2f}  "
        f"{one['p50']:>6.2f} {one['p95']:>6.2f} {one['p99']:>6.2f}  {wrong:>5}  "
        f"{before['bytes'] / 1e6:>6.0f} {after['bytes'] / 1e6:>6.0f} {after['kept'] / 1e6:>5.0f}  "
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


def harmed(ended: dict[str, int]) -> dict[str, int]:
    """The replies that were wrong, lost or refused, by their kind."""
    return {kind: count for kind, count in ended.items() if kind not in UNHARMED}


def problems(result: dict[str, Any]) -> list[str]:
    """What should not be, in sentences."""
    before, after = result["before"], result["afterwards"]
    runs = [result["soak"]] if "soak" in result else result["rows"]
    found = [
        f"With {run['users']} users replies went wrong: {wrong}."
        for run in runs
        if (wrong := harmed(run["ended"]))
    ]
    gone = sum(run["ended"].get(act, 0) for run in runs for act in INTERRUPTIONS)
    noticed = after["interrupted"] - before["interrupted"]
    if noticed < NOTICED * gone:
        found.append(f"Of {gone} replies that were interrupted the app has noticed {noticed}.")
    held = [look["bytes"] - look["kept"] for look in (before, after)]
    if held[1] > GROWTH * held[0]:
        percent = 100 * (held[1] / held[0] - 1)
        found.append(f"Beside what is kept for later turns, memory grew by {percent:.0f}%.")
    for what, most in (
        ("threads", before["threads"] + SPARE),
        ("files", before["files"] + SPARE),
        ("uploads", result["clips"]),  # one whole file of each, and none that broke off
    ):
        if after[what] > most:
            found.append(f"{after[what]} {what} were left, of {most} at most.")
    return found


def run(app: Served, options: argparse.Namespace, asked: list[Script]) -> dict[str, Any]:
    """All rows, or the soak, and what was held before and after them."""
    expected = alone(app.url, asked)
    talked(app, WARM_USERS, min(WARM_REPLIES, options.replies), expected)
    settle()
    result = {"told_apart": told_apart(expected), "clips": CLIPS * len(asked)}
    result["before"] = vars(Held.by(app))
    if options.minutes:
        result["soak"] = soaked(app, options.soak_users, options.minutes, expected)
    else:
        print("users  replies  a second  first: p50    p95    p99  wrong  MB before/after/kept"
              "  threads  files")  # fmt: skip
        result["rows"] = []
        for users in options.users:
            result["rows"].append(measured(app, users, options.replies, expected))
            print(row(result["rows"][-1]), flush=True)
    settle(options.settle)
    result["afterwards"] = vars(Held.by(app))
    print(f"{options.settle:.0f} s later: {result['afterwards']}")
    return result


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[1, 8, 32, 100])
    parser.add_argument("--replies", type=int, default=500, help="for each number of users")
    parser.add_argument("--conversations", type=int, default=100, help="different ones")
    parser.add_argument("--minutes", type=float, help="soak instead")
    parser.add_argument("--soak-users", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--store-mb", type=int, help="for what the app keeps, else its default")
    parser.add_argument("--settle", type=float, default=60, help="seconds to wait at the end")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    options = parsed(arguments)
    flags = ["--model", "preview", "--dtype", "float32", "--max-waiting", "200"]
    if options.store_mb is not None:
        size = str(options.store_mb)
        flags += ["--clip-store-mb", size, "--conversation-store-mb", size]
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            asked = scripts(options.conversations, cuts(folder), random.Random(0))
        except ValueError as error:
            sys.exit(str(error))
        own = {"GRADIO_TEMP_DIR": str(folder / UPLOADS)}
        with serving(folder / "log", *flags, environ=own) as app:
            result = {"machine": machine("cpu"), **run(app, options, asked)}
    if options.plot and "soak" in result:
        plot(result["soak"], options.plot)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit("\n".join(problems(main())) or None)
