"""Many requests -> lots that are answered together, halved where one is too much for the memory.

Longest first: what does not fit shows at once, and the prompts of a lot are of about one length.
A lot of one goes the way of a single reply. Between two lots whatever else waits for the model
has its turn. This module runs on the caller's thread and knows no torch.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from demo.engine import Answer, EngineError

Waiting = Generator[None, None, list[Answer]]


class Maker(Protocol):
    """What makes replies to requests, whose form is its own but for their length."""

    def fitting(self, request: Any, /) -> int:
        """How many like this one are best answered together."""
        ...

    def together(
        self, requests: Sequence[Any], tell: Callable[[list[str]], None], /
    ) -> Iterator[str]:
        """Answers several and tells their texts, or none where they are too much."""
        ...

    def alone(self, request: Any, /) -> Iterator[str]: ...


def answered(
    maker: Maker, requests: Mapping[int, Any], size: int | None = None
) -> Iterator[Answer | None]:
    """An answer to each of `requests`, by their places; None while nothing is new.

    `size` is the most that go together; None asks `maker` what fits.
    """
    left = sorted(requests, key=lambda place: requests[place].tokens, reverse=True)
    most = size
    while left:
        lot = left[: most or maker.fitting(requests[left[0]])]
        asked = [requests[place] for place in lot]
        alone = len(lot) == 1
        done = yield from _alone(maker, *lot, *asked) if alone else _together(maker, lot, asked)
        if not done:
            most = len(lot) // 2
        yield from done
        left = left[len(done) :]


def _together(maker: Maker, places: Sequence[int], requests: Sequence[Any]) -> Waiting:
    """The answers to all of `requests`, or none."""
    texts: list[str] = []
    for _ in maker.together(requests, texts.extend):
        yield
    return [Answer(place, text) for place, text in zip(places, texts, strict=False)]


def _alone(maker: Maker, place: int, request: Any) -> Waiting:
    text = ""
    try:
        for piece in maker.alone(request):
            text += piece
            yield
    except EngineError as error:
        return [Answer(place, error=error)]
    return [Answer(place, text)]
