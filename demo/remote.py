"""The engine behind servers that speak OpenAI's chat API: vLLM first, and those that do alike.

Each reply is a task of one event loop, which ends with its reader: cancelling it closes the
connection, and the server stops. A request is tried again, on another server where there is one,
as long as no word of its reply has come. This module imports no torch; which server is asked is
`demo.servers`' matter, and what goes wrong is told by `demo.remote_errors`.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

import numpy as np
from httpx2 import HTTPError
from openai import OpenAIError

from demo.chat_api import SAMPLE_RATE, messages, parameters
from demo.engine import (
    TOKENS_PER_SECOND,
    Answer,
    Budgets,
    Conversation,
    EngineInfo,
    Item,
    Load,
    Options,
    minutes_of,
)
from demo.places import Places
from demo.remote_errors import RemoteError, explained
from demo.servers import Server, Servers
from demo.streaming import Stream
from demo.wanted import host_of

RETRY_SECONDS = 0.4  # before the second try, and twice as long before each after it
ANSWERED = 1  # request, beside those that wait
BATCH_SIZE = 16  # of one batch at a time; a server answers them together


class RemoteEngine:
    """One model on one or more servers; `demo.connecting.connect` builds it."""

    def __init__(self, servers: Servers, info: EngineInfo, budgets: Budgets | None = None) -> None:
        self.info = info
        self._servers = servers
        budgets = budgets or Budgets()
        # Whoever looks at houses has let the request in, and must not be overruled in its midst.
        self._places = Places(budgets.waiting, budgets.each, ANSWERED, by_house=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote", daemon=True)
        self._thread.start()
        self._watching = self._begun(servers.watch())

    def stream(
        self,
        conversation: Conversation,
        windows: Sequence[np.ndarray],
        options: Options,
        user: str = "",
    ) -> Iterator[str]:
        if not conversation or conversation[-1]["role"] != "user":
            raise RemoteError("nothing")
        self._require_context(windows)
        with self._places.taken(user):
            request = {"messages": messages(conversation, windows), **parameters(options)}
            stream = Stream()
            task = self._begun(self._reply(request, stream, user))
            try:
                yield from stream.read()
            finally:
                task.cancel()

    def batch(
        self, items: Sequence[Item], options: Options, size: int | None = None, user: str = ""
    ) -> Iterator[Answer | None]:
        with self._places.taken(user):
            stream: Stream = Stream()
            done: list[Answer] = []
            task = self._begun(self._batch(items, options, size or BATCH_SIZE, user, done, stream))
            told = 0
            try:
                for _ in stream.read():
                    yield from done[told:]
                    told = len(done)
                    yield None
                yield from done[told:]
            except RemoteError:  # closed: what is done by then is told
                yield from done[told:]
                raise
            finally:
                task.cancel()

    def prepare(self, conversation: Conversation, windows: Sequence[np.ndarray]) -> None:
        """Does nothing: what would be fed ahead would delay the replies of others there."""

    def memory(self) -> None:
        """Nothing is held on this machine."""

    def load(self) -> Load:
        return Load(0, self._places.total, up=any(server.up for server in self._servers.all))

    def close(self) -> None:
        """Ends every request."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _require_context(self, windows: Sequence[np.ndarray]) -> None:
        """Refuses what the servers would, before it is made into a request of hundreds of MB."""
        seconds = sum(len(window) for window in windows) / SAMPLE_RATE
        heard, context = seconds * TOKENS_PER_SECOND - len(windows), self.info.context_tokens
        if 0 < context < heard:  # a window's last token may be left out
            raise RemoteError("too_long", context=context, minutes=minutes_of(context))

    def _begun(self, work: Coroutine[Any, Any, None]) -> Any:
        if self._loop.is_closed():
            work.close()
            raise RemoteError("closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _ended(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._servers.close()

    async def _reply(self, request: dict[str, Any], stream: Stream, user: str) -> None:
        try:
            await self._tried(request, stream, user)
        except asyncio.CancelledError:
            stream.end(RemoteError("closed"))
            raise
        except RemoteError as error:
            stream.end(error)
        except Exception as error:  # at the task's edge: its reader must come to an end
            stream.end(RemoteError("failed", error=type(error).__name__))
        else:
            stream.end()

    async def _tried(self, request: dict[str, Any], stream: Stream, user: str) -> None:
        """Asks one server after another until one gives the whole reply."""
        failure = RemoteError("failed", error="no server")
        for attempt, server in enumerate(self._servers.for_(user)):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS * 2 ** (attempt - 1))
            try:
                if await self._asked(server, request, stream):
                    return
                key = "broke_off" if stream.begun else "unreachable"
                failure = RemoteError(key, server=host_of(server.url))
            except (OpenAIError, HTTPError) as error:
                failure = explained(error, server.url, self.info, stream.begun)
            if failure.gone:
                server.up = False
            if failure.key == "reply_too_long" and request.pop("max_tokens", None):
                continue  # without it the reply has all the room that is left
            others = failure.elsewhere and attempt + 1 < len(self._servers.all)
            if stream.begun or not (failure.again or others):
                break
        raise failure

    async def _asked(self, server: Server, request: dict[str, Any], stream: Stream) -> bool:
        """Whether the reply came to its end: a cut line may look like one."""
        whole = False
        coming = await server.client.chat.completions.create(
            model=self.info.model, stream=True, **request
        )
        async with coming:
            async for chunk in coming:
                for choice in chunk.choices:
                    stream.emit(choice.delta.content or "")
                    whole = whole or choice.finish_reason is not None
        return whole

    async def _batch(
        self,
        items: Sequence[Item],
        options: Options,
        size: int,
        user: str,
        done: list[Answer],
        stream: Stream,
    ) -> None:
        """Answers all of `items` into `done`, `size` at a time, and ends `stream`."""
        room = asyncio.Semaphore(size)

        async def answered(place: int, item: Item) -> None:
            async with room:
                done.append(await self._answer(place, item, options, f"{user} {place}"))

        error: RemoteError | None = RemoteError("closed")  # where it is cut off
        try:
            await asyncio.gather(*(answered(place, item) for place, item in enumerate(items)))
            error = None
        finally:
            stream.end(error)

    async def _answer(self, place: int, item: Item, options: Options, user: str) -> Answer:
        if isinstance(item.asked, str):
            return Answer(place, error=RemoteError("no_raw"))
        try:
            self._require_context(item.windows)
        except RemoteError as error:
            return Answer(place, error=error)
        request = {"messages": messages(item.asked, item.windows), **parameters(options)}
        stream = Stream()
        await self._reply(request, stream, user)
        try:
            return Answer(place, "".join(stream.read()))
        except RemoteError as error:
            return Answer(place, error=error)
