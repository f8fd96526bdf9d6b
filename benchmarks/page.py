"""What the page adds to the engine, in a real browser: first word, long replies, stop.

`python -m benchmarks.page` serves the app in this process, drives it in headless Chromium and
prints what it measured and, last, one line of JSON; `--plot FILE` draws what the tokens of a long
reply cost. The engine is the app's own, timed where the page's handlers call it.
"""

import argparse
import json
import re
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import torch
from playwright.sync_api import sync_playwright

from benchmarks.browsing import Timed, served, visiting
from benchmarks.shapes import SHAPES, build
from benchmarks.talking import RATE, as_loaded, greedy, machine, speak_words
from demo.engine import EngineInfo
from demo.local import LocalEngine
from tests.conftest import CHROMIUM, QUIET_CHROMIUM
from tests.visitor import WATCH, Visitor

STOPPED_TOKENS = 4000  # of a reply that must still be going on when it is stopped
POLL_MS = 100
TYPING_MS = 2000  # from the upload to send, where the clip is heard ahead
QUESTION = "What do you hear?"

FIRST_WORD = """() => new Promise((done) => {
  const replies = () => [...document.querySelectorAll('#analysis-chat [data-testid="bot"]')]
    .filter((bot) => !bot.querySelector(".thought-group") && bot.textContent.trim()).length;
  const before = replies(), start = performance.now();
  new MutationObserver((_, observer) => {
    if (replies() > before) { observer.disconnect(); done((performance.now() - start) / 1000); }
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
  document.querySelector("#question .submit-button").click();
})"""


@dataclass(frozen=True)
class Sample:
    """Where a long reply stands: pieces made, bytes received, seconds of the page's thread."""

    pieces: int
    received: int
    busy: float


def first_words(visitor: Visitor, engine: Timed, ahead: bool, clips: list[Path]) -> dict[str, Any]:
    """Seconds from send to the first word, and the engine's own part, for one turn a clip."""
    engine.ahead = ahead
    page, engines = [], []
    for clip in clips:
        visitor.attach(clip)
        visitor.words.fill(QUESTION)
        if ahead:
            visitor.page.wait_for_timeout(TYPING_MS)
        page.append(visitor.page.evaluate(FIRST_WORD))
        visitor.until_done("analysis")
        engines.append(engine.first)
    share = median(all_of - own for all_of, own in zip(page, engines, strict=True))
    return {"send_to_word": median(page), "engine": median(engines), "page": share}


def long_reply(visitor: Visitor, engine: Timed) -> list[Sample]:
    """Samples from before a reply that is as long as the options allow to its end."""
    session = visitor.context.new_cdp_session(visitor.page)
    received: list[int] = []
    session.on("Network.dataReceived", lambda event: received.append(event["dataLength"]))
    session.send("Network.enable")
    session.send("Performance.enable")
    engine.pieces = 0
    samples = [Sample(0, 0, busy_seconds(session))]
    visitor.page.evaluate(WATCH, "analysis-stop")
    visitor.ask(QUESTION)
    visitor.page.wait_for_function("window.begun")
    going_on = True
    while going_on:
        going_on = visitor.page.locator("#analysis-stop").count() > 0
        samples.append(Sample(engine.pieces, sum(received), busy_seconds(session)))
        visitor.page.wait_for_timeout(POLL_MS)
    session.detach()
    return samples


def busy_seconds(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")


def costs(samples: list[Sample], parts: int = 4) -> list[dict[str, float]]:
    """Bytes and milliseconds of the page's thread a piece, in each part of a reply."""
    ends = np.linspace(samples[0].pieces, samples[-1].pieces, parts + 1)
    marks = [min(samples, key=lambda one, end=end: abs(one.pieces - end)) for end in ends]
    return [
        {
            "bytes": (after.received - before.received) / max(1, after.pieces - before.pieces),
            "ms": 1000 * (after.busy - before.busy) / max(1, after.pieces - before.pieces),
        }
        for before, after in pairwise(marks)
    ]


def stop_seconds(visitor: Visitor, engine: Timed) -> float:
    """From pressing stop at a reply's first words to the engine's silence."""
    visitor.stop_at_words("analysis")
    visitor.ask(QUESTION)
    pressed = visitor.page.wait_for_function("window.pressed").json_value()
    engine.engine.idle.wait()
    taken = time.time() - pressed
    visitor.until_done("analysis")
    return taken


def clips_in(folder: Path, count: int, seconds: float) -> list[Path]:
    rng = np.random.default_rng(count)
    files = [folder / f"noise {number}.wav" for number in range(count)]
    for file in files:
        soundfile.write(file, rng.normal(0, 0.1, int(seconds * RATE)), RATE)
    return files


def letters(text: str) -> str:
    """What Markdown leaves as it is."""
    return re.sub(r"[\W_]", "", text)


def measure(options: argparse.Namespace, engine: Timed) -> dict[str, Any]:
    """All that is measured, with one browser."""
    flags: dict[str, Any] = {"executable_path": str(CHROMIUM), "args": QUIET_CHROMIUM}
    with (
        TemporaryDirectory() as folder,
        served(engine) as url,
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(**flags)) as browser,
    ):
        clips = clips_in(Path(folder), 2 * options.turns, options.seconds)
        with visiting(browser, url, 8) as visitor:
            plain = first_words(visitor, engine, False, clips[: options.turns])
        with visiting(browser, url, 8) as visitor:
            ahead = first_words(visitor, engine, True, clips[options.turns :])
        with visiting(browser, url, options.tokens) as visitor:
            samples = long_reply(visitor, engine)
            shown = visitor.replies("analysis").last.inner_text()
            same = letters(shown) == letters(engine.said)
        with visiting(browser, url, STOPPED_TOKENS) as visitor:
            stop = stop_seconds(visitor, engine)
    reply = costs(samples)
    return {"plain": plain, "ahead": ahead, "reply": reply, "stop": stop, "shown_whole": same}


def table(result: dict[str, Any]) -> str:
    lines = ["                      send to word   engine    page"]
    for name, told in (("plain", "sent at once"), ("ahead", "sent 2 s later")):
        one = result[name]
        lines.append(
            f"{told:<20}  {one['send_to_word']:>10.3f} s {one['engine']:>7.3f} {one['page']:>7.3f}"
        )
    for number, part in enumerate(result["reply"], 1):
        lines.append(
            f"reply, part {number}/{len(result['reply'])}: {part['bytes']:.0f} bytes and "
            f"{part['ms']:.2f} ms of the page's thread a token"
        )
    return "\n".join([*lines, f"from stop to idle: {result['stop']:.3f} s"])


def plot(result: dict[str, Any], file: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
    names = [f"{number}" for number in range(1, len(result["reply"]) + 1)]
    for ax, key, unit in zip(axes, ("bytes", "ms"), ("bytes", "ms of the page"), strict=True):
        ax.bar(names, [part[key] for part in result["reply"]])
        ax.set(xlabel="quarter of the reply", ylabel=f"{unit} a token")
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--shape", choices=["preview", *SHAPES], default="100m")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--turns", type=int, default=5, help="each way")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    parser.add_argument("--tokens", type=int, default=2000, help="of the long reply")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    model, processor = build(options.shape, options.device, getattr(torch, options.dtype))
    if options.shape == "preview":
        model.generation_config.eos_token_id = None  # every reply has its full length
    else:
        speak_words(model, processor.tokenizer)
    info = EngineInfo("benchmark", options.device, options.dtype, 8192, False, greedy(64))
    with closing(Timed(LocalEngine(as_loaded(model), processor, info))) as engine:
        result = {"shape": options.shape, "machine": machine(options.device)}
        result |= measure(options, engine)
    print(table(result))
    if options.plot:
        plot(result, options.plot)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
