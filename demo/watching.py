"""What a host sees of requests and batches: numbers for Prometheus, and one line in the log each.

It times what is made and counts how it ended. Nobody's words, sounds or names come into it: a
request is known by a random id, which the page shows with an error.
"""

import logging
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from demo.batch.rules import BatchError
from demo.engine import Engine
from demo.messages import UserError
from demo.places import Places

log = logging.getLogger("demo.requests")
SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2)
PLACES = 8  # of an error: its innermost calls
BATCHES = 16  # at once; each holds up to a shelf of clips, and lots take turns
OWN_BATCHES = 2  # of them, of one user: a page and a program of one login
RATES = (1, 2, 5, 10, 20, 50, 100, 200, 400)


@dataclass
class Begun:
    """Whatever is seen from its beginning to its end."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    begun: float = field(default_factory=time.monotonic)

    @property
    def took(self) -> float:
        return time.monotonic() - self.begun


@dataclass
class Seen(Begun):
    """What is seen of one request while it is answered."""

    clips: int = 0
    sound: float = 0.0  # seconds, of all the clips
    first: float | None = None  # seconds to the first piece of the reply
    pieces: int = 0  # of the reply, about one a token

    def piece(self) -> None:
        if self.first is None:
            self.first = time.monotonic() - self.begun
        self.pieces += 1


@dataclass
class SeenBatch(Begun):
    """What is seen of one batch while its rows are answered."""

    rows: int = 0
    done: int = 0  # with a reply
    failed: int = 0

    def row(self, failed: bool) -> None:
        self.failed += failed
        self.done += not failed


class Watch:
    """Sees every request of one app, each on one of its `places`.

    `engine` tells the engine once it is there.
    """

    def __init__(
        self, engine: Callable[[], Engine | None] = lambda: None, places: Places | None = None
    ) -> None:
        self._engine = engine
        self.places = places or Places()
        self.batches = Places(BATCHES, OWN_BATCHES, refusal=BatchError)
        self._registry = CollectorRegistry()
        registry = self._registry
        self._ended = Counter(
            "demo_requests", "Requests by how they ended", ["outcome"], registry=registry
        )
        self._batches = Counter(
            "demo_batches", "Batches by how they ended", ["outcome"], registry=registry
        )
        self._rows = Counter(
            "demo_batch_rows", "Rows of batches that ended", ["outcome"], registry=registry
        )
        self._first = Histogram(
            "demo_first_word_seconds",
            "From a request to its first word",
            buckets=SECONDS,
            registry=registry,
        )
        self._rate = Histogram(
            "demo_tokens_per_second", "Of a reply after its first", buckets=RATES, registry=registry
        )
        self._registry.register(self)  # for what the engine itself tells

    def numbers(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)

    @contextmanager
    def request(self, user: str = "") -> Iterator[Seen]:
        """Around the making of one reply; an error that passes through learns the request's id.

        Raises:
            CrowdedError: there is no place for it.
        """
        seen = Seen()
        with _ending(seen, partial(self._tell, seen)), self.places.taken(user):
            yield seen

    def refused(self, error: UserError) -> UserError:
        """`error`, which ends what never was a request and needs no place; it learns an id too."""
        seen = Seen()
        with suppress(UserError), _ending(seen, partial(self._tell, seen)):
            raise error
        return error

    @contextmanager
    def batch(self, user: str, rows: int) -> Iterator[SeenBatch]:
        """The same around one batch, which has also one of the few places for batches."""
        seen = SeenBatch(rows=rows)
        places = self.batches.taken(user), self.places.taken(user)
        with _ending(seen, partial(self._tell_batch, seen)), places[0], places[1]:
            yield seen

    def _tell(self, seen: Seen, outcome: str) -> None:
        took = seen.took
        self._ended.labels(outcome).inc()
        if seen.first is not None:
            self._first.observe(seen.first)
            if seen.pieces > 1:
                self._rate.observe((seen.pieces - 1) / max(took - seen.first, 1e-6))
        first = "-" if seen.first is None else f"{seen.first:.2f}s"
        log.info(
            "id=%s clips=%d sound=%.1fs first=%s took=%.2fs pieces=%d outcome=%s",
            *(seen.id, seen.clips, seen.sound, first, took, seen.pieces, outcome),
        )

    def _tell_batch(self, seen: SeenBatch, outcome: str) -> None:
        self._batches.labels(outcome).inc()
        self._rows.labels("done").inc(seen.done)
        self._rows.labels("failed").inc(seen.failed)
        log.info(
            "batch id=%s rows=%d done=%d failed=%d took=%.2fs outcome=%s",
            *(seen.id, seen.rows, seen.done, seen.failed, seen.took, outcome),
        )

    def collect(self) -> Iterable[Metric]:
        """What the engine holds and has to do now, as `prometheus_client` asks for it."""
        engine = self._engine()
        if engine is None:
            return
        load, memory = engine.load(), engine.memory()
        waiting = max(load.waiting, self.places.total - load.running)  # or still being heard
        yield GaugeMetricFamily("demo_waiting", "Requests in line", waiting)
        yield GaugeMetricFamily("demo_running", "Requests being answered", load.running)
        tokens = CounterMetricFamily("demo_prompt_tokens", "Of prompts", labels=["from"])
        tokens.add_metric(["kept"], load.tokens_kept)
        tokens.add_metric(["fed"], load.tokens_fed)
        clips = CounterMetricFamily("demo_clips", "Windows of clips", labels=["from"])
        clips.add_metric(["kept"], load.clips_kept)
        clips.add_metric(["heard"], load.clips_heard)
        yield from (tokens, clips)
        if memory:
            held = GaugeMetricFamily("demo_bytes", "Held by the engine", labels=["what"])
            for what in ("weights", "clips", "conversations"):
                held.add_metric([what], getattr(memory, what))
            yield held


@contextmanager
def _ending(seen: Begun, tell: Callable[[str], None]) -> Iterator[None]:
    """Tells how what is inside ended; an error that passes through learns its id."""
    outcome = "done"
    try:
        yield
    except GeneratorExit:
        outcome = "stopped"
        raise
    except Exception as error:
        outcome = error.key if isinstance(error, UserError) else type(error).__name__
        error.request_id = seen.id  # pyright: ignore[reportAttributeAccessIssue]
        raise
    finally:
        tell(outcome)


def place_of(error: BaseException) -> str:
    """What an error is and where it came from; not what it says, which may be somebody's words."""
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    places = [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames]
    return f"{type(error).__name__} in {' > '.join(places)}"


def request_id(error: BaseException) -> str:
    """The id of the request that an error ended; "" where none is known."""
    return getattr(error, "request_id", "")
