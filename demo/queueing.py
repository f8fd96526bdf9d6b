"""Who is next: requests of many users in a fair order, and how many may wait.

The users take turns, and each user's requests keep their order, so that ten of one do not hold up
the one of another. What nobody looks at while it is made, a part of a batch, comes late: after
the others, though not for ever. This module knows neither threads nor what a request is; whoever
shares a queue between threads locks it.
"""

from collections import OrderedDict, deque
from collections.abc import Container, Iterator
from typing import Generic, TypeVar

from demo.engine import EngineError
from demo.messages import Sentences

T = TypeVar("T")
PASSED_MOST = 4  # requests that go before one that is late

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
        # By whether they are late, and whose; whose turn is next comes first.
        self._lines: OrderedDict[tuple[bool, str], deque[T]] = OrderedDict()
        self._passed = 0  # those that are late, by so many others

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line

    def put(self, request: T, user: str, running: bool = False, late: bool = False) -> None:
        """Adds a request; `running` says that one of the same user is being answered.

        One that is `late` comes after those that are not, but for each `PASSED_MOST` of them.

        Raises:
            CrowdedError: too many wait, or too many of this user.
        """
        own = sum(len(line) for (_, whose), line in self._lines.items() if whose == user) + running
        require_room(user, own, len(self), self._most, self._each)
        self._lines.setdefault((late, user), deque()).append(request)

    def next(self, but: Container[str] = ()) -> T | None:
        """Takes out the request whose turn it is, of all the users `but` some."""
        ready = [key for key in self._lines if key[1] not in but]
        if not ready:
            return None
        patient = self._passed < PASSED_MOST
        key = min(ready, key=lambda key: key[0] == patient)  # the first of those that are equal
        late = any(key[0] for key in ready)
        self._passed = self._passed + 1 if late and not key[0] else 0
        line = self._lines.pop(key)
        request = line.popleft()
        if line:
            self._lines[key] = line
        return request

    def leave(self, request: T) -> None:
        """Takes out a request that need not be answered any more, if it still waits."""
        for key, line in self._lines.items():
            if request in line:
                line.remove(request)
                if not line:
                    del self._lines[key]
                return

    def ahead(self, request: T) -> int:
        """How many of those that wait come before this one, as it stands now."""
        own = next((key for key, line in self._lines.items() if request in line), None)
        if own is None:
            return 0
        lines = [line for key, line in self._lines.items() if key[0] == own[0]]
        turn, round_ = lines.index(self._lines[own]), self._lines[own].index(request)
        before = sum(len(line) for key, line in self._lines.items() if key[0] < own[0])
        return before + sum(
            min(len(line), round_ + (place < turn)) for place, line in enumerate(lines)
        )

    def clear(self) -> None:
        self._lines.clear()
