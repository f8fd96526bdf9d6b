"""Many users at once: does each get the own reply, how soon, and is all given back afterwards?

`python -m benchmarks.load` starts the app and lets 1, 8, 32 and 100 users talk with it, each a
`gradio_client` session with conversations of its own, some of which stop, leave or come anew. It
prints a table and, last, one line of JSON. With `--minutes` it goes on for so long with
`--soak-users` instead, and `--plot FILE` draws that. What a reply should be is what the same
conversation got from an idle app. `--settle` waits so many seconds before the last look at what the
app holds, which by then should have forgotten who left.
"""

import argparse
import gc
import json
import random
import re
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
from benchmarks.visitors import Script, Tally, alone, crowd, scripts
from tests.serving import Served, serving

SETTLE_SECONDS = 5.0
WARM_REPLIES = 100  # what is held before the rows is what a running app holds
SAMPLE_SECONDS = 15.0
KEPT = re.compile(r'^demo_bytes{what="(?:clips|conversations)"} (\S+)', re.MULTILINE)


@dataclass(frozen=True)
class Held:
    """What the app's process holds; `kept` of its bytes are what it keeps for later turns."""

    bytes: int
    kept: int
    threads: int
    files: int

    @classmethod
    def by(cls, app: Served) -> "Held":
        process = psutil.Process(app.process.pid)
        family = [process, *process.children(recursive=True)]
        resident = sum(one.memory_info().rss for one in family)
        kept = KEPT.findall(urlopen(f"{app.url}/metrics", timeout=60).read().decode())
        return cls(resident, int(sum(map(float, kept))), process.num_threads(), process.num_fds())


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
    wrong = sum(count for name, count in ended.items() if name not in ("right", "stopped"))
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


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[1, 8, 32, 100])
    parser.add_argument("--replies", type=int, default=500, help="for each number of users")
    parser.add_argument("--conversations", type=int, default=12, help="different ones")
    parser.add_argument("--minutes", type=float, help="soak instead")
    parser.add_argument("--soak-users", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--store-mb", type=int, help="for what the app keeps, else its default")
    parser.add_argument("--settle", type=float, default=0, help="seconds to wait at the end")
    options = parser.parse_args(arguments)
    flags = ["--model", "preview", "--dtype", "float32", "--max-waiting", "200"]
    if options.store_mb is not None:
        size = str(options.store_mb)
        flags += ["--clip-store-mb", size, "--conversation-store-mb", size]
    result: dict[str, Any] = {"machine": machine("cpu")}
    with TemporaryDirectory() as folder, serving(Path(folder) / "log", *flags) as app:
        expected = alone(app.url, scripts(options.conversations, random.Random(0)))
        talked(app, 8, min(WARM_REPLIES, options.replies), expected)
        settle()
        if options.minutes:
            result["soak"] = soaked(app, options.soak_users, options.minutes, expected)
        else:
            print("users  replies  a second  first: p50    p95    p99  wrong  MB before/after/kept"
                  "  threads  files")  # fmt: skip
            result |= {"rows": [], "before": vars(Held.by(app))}
            for users in options.users:
                result["rows"].append(measured(app, users, options.replies, expected))
                print(row(result["rows"][-1]), flush=True)
        settle(options.settle)
        result["afterwards"] = vars(Held.by(app))
        print(f"{options.settle:.0f} s later: {result['afterwards']}")
    if options.plot and "soak" in result:
        plot(result["soak"], options.plot)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
