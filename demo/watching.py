"""What a host sees of the requests: numbers for Prometheus, and one line in the log for each.

It times what is made and counts how it ended. Nobody's words, sounds or names come into it: a
request is known by a random id, which the page shows with an error.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from demo.engine import Engine
from demo.messages import UserError

log = logging.getLogger("demo.requests")
SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2)
RATES = (1, 2, 5, 10, 20, 50, 100, 200, 400)


@dataclass
class Seen:
    """What is seen of one request while it is answered."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    begun: float = field(default_factory=time.monotonic)
    clips: int = 0
    sound: float = 0.0  # seconds, of all the clips
    first: float | None = None  # seconds to the first piece of the reply
    pieces: int = 0  # of the reply, about one a token

    def piece(self) -> None:
        if self.first is None:
            self.first = time.monotonic() - self.begun
        self.pieces += 1


class Watch:
    """Sees every request of one app; `engine` tells the engine once it is there."""

    def __init__(self, engine: Callable[[], Engine | None] = lambda: None) -> None:
        self._engine = engine
        self._registry = CollectorRegistry()
        registry = self._registry
        self._ended = Counter(
            "demo_requests", "Requests by how they ended", ["outcome"], registry=registry
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
    def request(self) -> Iterator[Seen]:
        """Around the making of one reply; an error that passes through learns the request's id."""
        seen, outcome = Seen(), "done"
        try:
            yield seen
        except GeneratorExit:
            outcome = "stopped"
            raise
        except Exception as error:
            outcome = error.key if isinstance(error, UserError) else type(error).__name__
            error.request_id = seen.id  # pyright: ignore[reportAttributeAccessIssue]
            raise
        finally:
            self._tell(seen, outcome)

    def _tell(self, seen: Seen, outcome: str) -> None:
        took = time.monotonic() - seen.begun
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

    def collect(self) -> Iterable[Metric]:
        """What the engine holds and has to do now, as `prometheus_client` asks for it."""
        engine = self._engine()
        if engine is None:
            return
        load, memory = engine.load(), engine.memory()
        yield GaugeMetricFamily("demo_waiting", "Requests in line", load.waiting)
        yield GaugeMetricFamily("demo_running", "Requests being answered", load.running)
        tokens = GaugeMetricFamily("demo_prompt_tokens", "Since the start", labels=["from"])
        tokens.add_metric(["kept"], load.tokens_kept)
        tokens.add_metric(["fed"], load.tokens_fed)
        clips = GaugeMetricFamily("demo_clips", "Windows, since the start", labels=["from"])
        clips.add_metric(["kept"], load.clips_kept)
        clips.add_metric(["heard"], load.clips_heard)
        yield from (tokens, clips)
        if memory:
            held = GaugeMetricFamily("demo_bytes", "Held by the engine", labels=["what"])
            for what in ("weights", "clips", "conversations"):
                held.add_metric([what], getattr(memory, what))
            yield held


def request_id(error: BaseException) -> str:
    """The id of the request that an error ended; "" where none is known."""
    return getattr(error, "request_id", "")
