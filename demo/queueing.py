"""Who is next: requests of many users in a fair order, and how many may wait.

The houses take turns (see `demo.users`), in each house its users, and each user's requests keep
their order, so that ten of one do not hold up the one of another. What nobody looks at while it is
made, a part of a batch, comes late: after the others, though not for ever. This module knows
neither threads nor what a request is; whoever shares a queue between threads locks it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic, TypeVar

from demo.engine import EngineError
from demo.messages import Sentences, UserError
from demo.users import house_of

T = TypeVar("T")
PASSED_MOST = 4  # requests that go before one that is late

SENTENCES: Sentences = {
    "full": (
        "Too many are waiting for the model: {limit} requests already. Nothing is lost; "
        "please send it again in a moment.",
        "等待模型的请求太多：已有 {limit} 个。内容没有丢失，请稍后重新发送。",
    ),
    "near": (
        "There are as many requests from your network address under way ({near}) as places left "
        "for others ({free}). Nothing is lost; please send it again in a moment.",
        "来自您所在网络地址的请求已有 {near} 个，剩余的 {free} 个位置留给其他人。"
        "内容没有丢失，请稍后重新发送。",
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


@dataclass(frozen=True)
class Crowd:
    """How many there are when one more comes, and how many there may be."""

    own: int  # of the same user
    near: int  # of the same house, where others may live in it too
    total: int
    each: int
    most: int

    @classmethod
    def around(
        cls, user: str, taken: Mapping[str, int], each: int, most: int, beside: int = 0
    ) -> "Crowd":
        """What one more of `user` comes upon where each user has taken so many.

        `beside` of them do not count in all.
        """
        house, total = house_of(user), sum(taken.values()) - beside
        near = sum(count for one, count in taken.items() if house_of(one) == house)
        return cls(taken.get(user, 0), near if house != user else 0, total, each, most)

    @property
    def free(self) -> int:
        return self.most - self.total

    def limit(self, user: str) -> str:
        """The key of the limit that one more of `user` would pass; "" where there is room.

        A house may have as many as are still free (dynamic thresholds, with alpha = 1: Choudhury
        and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM
        Transactions on Networking 6(2), 1998): half of the most where it is alone, and less the
        fewer there are, so that some are left for whoever has none. The user "" has no limit of
        its own: this program itself.
        """
        if user and self.own >= self.each:
            return "yours"
        if self.total >= self.most:
            return "full"
        return "near" if self.near >= self.free else ""


def require_room(user: str, crowd: Crowd, refusal: type[UserError] = CrowdedError) -> None:
    """Raises a `refusal`, which has these keys too, where there is no room for one more."""
    if key := crowd.limit(user):
        limit = crowd.each if key == "yours" else crowd.most
        raise refusal(key, limit=limit, near=crowd.near, free=crowd.free)


class FairQueue(Generic[T]):
    """Requests by their users: `most` in all, `each` of one user."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each = most, each
        self._lines: dict[bool, _Line[T]] = {late: _Line() for late in (False, True)}
        self._passed = 0  # those that are late, by so many others

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __iter__(self) -> Iterator[T]:
        return (request for _, request in self._waiting())

    def _waiting(self) -> Iterator[tuple[str, T]]:
        for line in self._lines.values():
            yield from line.order()

    def put(self, request: T, user: str, running: bool = False, late: bool = False) -> None:
        """Adds a request; `running` says that one of the same user is being answered.

        One that is `late` comes after those that are not, but for each `PASSED_MOST` of them.

        Raises:
            CrowdedError: too many wait, or too many of this user.
        """
        users = [whose for whose, _ in self._waiting()]
        own = users.count(user) + running
        require_room(user, Crowd(own, 0, len(users), self._each, self._most))
        self._lines[late].add(request, user)

    def next(self, may: Callable[[str, bool], bool] = lambda user, late: True) -> T | None:
        """Takes out the request whose turn it is, of those that `may`: by the user, and if late."""
        ready = {late: line.first(may, late) for late, line in self._lines.items()}
        patient = self._passed < PASSED_MOST
        late = bool(ready[True]) and not (patient and ready[False])
        first = ready[late]
        if first is None:
            return None
        self._passed = self._passed + 1 if ready[True] and not late else 0
        self._lines[late].serve(*first)
        return first[1]

    def leave(self, request: T) -> None:
        """Takes out a request that need not be answered any more, if it still waits."""
        for line in self._lines.values():
            for user, one in line.order():
                if one is request:
                    line.remove(user, request)

    def ahead(self, request: T) -> int:
        """How many of those that wait come before this one, as it stands now."""
        order = list(self)
        return order.index(request) if request in order else 0


class _Line(Generic[T]):
    """Those that are late, or those that are not, by their houses and users."""

    def __init__(self) -> None:
        self._houses: OrderedDict[str, OrderedDict[str, list[T]]] = OrderedDict()

    def add(self, request: T, user: str) -> None:
        house = self._houses.setdefault(house_of(user), OrderedDict())
        house.setdefault(user, []).append(request)

    def order(self) -> list[tuple[str, T]]:
        """The requests, and whose they are, in the order in which their turns come."""
        return in_turn(
            in_turn([(user, request) for request in own] for user, own in house.items())
            for house in self._houses.values()
        )

    def first(self, may: Callable[[str, bool], bool], late: bool) -> tuple[str, T] | None:
        return next((one for one in self.order() if may(one[0], late)), None)

    def serve(self, user: str, request: T) -> None:
        """Takes out a request; its house and its user have their next turn after the others."""
        house = house_of(user)
        self._houses[house].move_to_end(user)
        self._houses.move_to_end(house)
        self.remove(user, request)

    def remove(self, user: str, request: T) -> None:
        house = self._houses[house_of(user)]
        house[user].remove(request)
        if not house[user]:
            del house[user]
        if not house:
            del self._houses[house_of(user)]


def in_turn(lines: Iterable[Sequence[T]]) -> list[T]:
    """The first of each line, then the second of each, and so on."""
    return [one for round_ in zip_longest(*lines) for one in round_ if one is not None]
