"""Who is next: requests of many users in a fair order, and how many may wait.

The users take turns, and each user's requests keep their order, so that ten of one do not hold up
the one of another. This module knows neither threads nor what a request is; whoever shares a
queue between threads locks it.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from demo.engine import EngineError
from demo.messages import Sentences

T = TypeVar("T")


SENTENCES: Sentences = {
    "full": (
        "Too many are waiting for the model: {limit} requests already. Nothing is lost; "
        "please send it again in a moment.",
        "等待模型的请求太多：已有 {limit} 个。内容没有丢失，请稍后重新发送。",
    ),
    "yours": (
        "{limit} of your requests are waiting already, and no more may. Wait for a reply or "
        "stop one, then send this again.",
        "您已有 {limit} 个请求在等待，已达上限。请等待回复或停止其中一个，然后重新发送。",
    ),
}


class CrowdedError(EngineError):
    """A request cannot even wait."""

    sentences = SENTENCES


def require_room(user: str, own: int, waiting: int, most: int, each: int) -> None:
    """Raises CrowdedError where `own` requests of a user or `waiting` in all are the limit.

    The user "" has no limit of its own: this program itself.
    """
    if user and own >= each:
        raise CrowdedError("yours", limit=each)
    if waiting >= most:
        raise CrowdedError("full", limit=most)


class FairQueue(Generic[T]):
    """Requests by their users: `most` in all, `each` of one user."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each = most, each
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()  # whose turn is next comes first

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line

    def put(self, request: T, user: str, running: bool = False) -> None:
        """Adds a request; `running` says that one of the same user is being answered.

        Raises:
            CrowdedError: too many wait, or too many of this user.
        """
        own = len(self._lines.get(user, ())) + running
        require_room(user, own, len(self), self._most, self._each)
        self._lines.setdefault(user, deque()).append(request)

    def next(self) -> T | None:
        """Takes out the request whose turn it is."""
        if not self._lines:
            return None
        user, line = self._lines.popitem(last=False)
        request = line.popleft()
        if line:
            self._lines[user] = line
        return request

    def leave(self, request: T) -> None:
        """Takes out a request that need not be answered any more, if it still waits."""
        for user, line in self._lines.items():
            if request in line:
                line.remove(request)
                if not line:
                    del self._lines[user]
                return

    def ahead(self, request: T) -> int:
        """How many of those that wait come before this one, as it stands now."""
        lines = list(self._lines.values())
        turn = next((turn for turn, line in enumerate(lines) if request in line), None)
        if turn is None:
            return 0
        round_ = lines[turn].index(request)
        return sum(min(len(line), round_ + (place < turn)) for place, line in enumerate(lines))

    def clear(self) -> None:
        self._lines.clear()
