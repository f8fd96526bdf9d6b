"""The servers behind a remote engine: which of them answer, and which one a request goes to.

A user stays with one server while it answers, since a server keeps what it computed of a
conversation. This module knows the HTTP clients and no conversation.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import cycle, islice

from openai import APIStatusError, AsyncOpenAI, OpenAIError

CHECK_SECONDS = 5.0
CHECK_TIMEOUT_SECONDS = 4.0
ATTEMPTS = 3  # at least so many for a request, on one server if there is only one


@dataclass(frozen=True)
class Served:
    """A model that a server answers for."""

    name: str
    context_tokens: int | None  # not every server tells


class Server:
    """One server by its base URL; `up` until a request or a check finds it gone."""

    def __init__(self, url: str, client: AsyncOpenAI) -> None:
        self.url, self.client, self.up = url, client, True

    async def models(self) -> list[Served]:
        """What it serves.

        Raises:
            OpenAIError: it does not answer, refuses the key, or tells something else.
        """
        try:
            listed = await self.client.with_options(timeout=CHECK_TIMEOUT_SECONDS).models.list()
            return [Served(one.id, getattr(one, "max_model_len", None)) async for one in listed]
        except OpenAIError:
            raise
        except Exception as error:  # the client takes any page that comes with status 200
            raise OpenAIError("no list of models") from error

    async def check(self) -> None:
        """Sees whether it answers; a server that refuses something is there."""
        try:
            await self.models()
            self.up = True
        except APIStatusError as error:
            self.up = error.status_code < 500
        except OpenAIError:
            self.up = False


class Servers:
    """Servers that all serve one model."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.all = list(servers)

    def for_(self, user: str) -> Iterator[Server]:
        """Where to try a user's request, one after another: those that are up come first.

        The order is the user's own and changes for few users where a server comes or goes
        (rendezvous hashing, by a hash in which no bits of user and server stand apart).
        """
        order = sorted(self.all, key=lambda one: blake2b(f"{user} {one.url}".encode()).digest())
        order.sort(key=lambda one: not one.up)
        yield from islice(cycle(order), max(ATTEMPTS, len(order)))

    async def watch(self) -> None:
        """Checks them again and again."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await asyncio.gather(*(server.check() for server in self.all))

    async def close(self) -> None:
        await asyncio.gather(*(server.client.close() for server in self.all))
