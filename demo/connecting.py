"""A host's wish for remote servers -> the engine behind them, once one of them answers.

Servers may still be starting when the page opens: it waits for them and says so. This module
knows what a server serves, and nothing of a request.
"""

import asyncio

from openai import (
    AsyncOpenAI,
    AuthenticationError,
    OpenAIError,
    PermissionDeniedError,
    Timeout,
)

from demo.engine import Engine, EngineInfo, Options
from demo.loading import Report, Status
from demo.messages import Message, Sentences
from demo.remote import RemoteEngine
from demo.remote_errors import RemoteError
from demo.servers import Served, Server, Servers
from demo.wanted import Remote, host_of

RETRY_SECONDS = 2.0
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0  # without a word of a reply that is being made

SENTENCES: Sentences = {
    "awaited": (
        "Waiting for the model's server to answer: {servers}.",
        "正在等待模型服务器响应：{servers}。",
    ),
}


def connect(wanted: Remote, report: Report) -> Engine:
    """The engine, once one of the servers has told what it serves.

    Where it tells no name (`transformers serve` does not, of a folder), the host's is taken.

    Raises:
        RemoteError: no server takes the key and serves the model.
    """
    report(Status("load", None, Message(SENTENCES, "awaited", servers=wanted.hosts)))
    found = asyncio.run(_first_answer(wanted))
    context_tokens = found.context_tokens or 0
    info = EngineInfo(found.name, wanted.hosts, "", context_tokens, False, Options())
    return RemoteEngine(_servers(wanted), info, wanted.budgets)


async def _first_answer(wanted: Remote) -> Served:
    """The model, of the first server that serves it; asks until one answers.

    Raises:
        RemoteError: all of them answer, and each refuses the key or serves other models.
    """
    servers = _servers(wanted)
    try:
        while True:
            refusals: list[RemoteError] = []
            for server in servers.all:
                try:
                    return _model_of(await server.models(), wanted.model, server.url)
                except (AuthenticationError, PermissionDeniedError):
                    refusals.append(RemoteError("key", server=host_of(server.url)))
                except RemoteError as error:
                    refusals.append(error)
                except OpenAIError:
                    continue
            if len(refusals) == len(servers.all):
                raise refusals[0]
            await asyncio.sleep(RETRY_SECONDS)
    finally:
        await servers.close()


def _model_of(served: list[Served], wanted: str, where: str) -> Served:
    """What is wanted of what a server serves.

    Raises:
        RemoteError: that is not among it.
    """
    if not served and wanted != "auto":
        return Served(wanted, None)
    for one in served:
        if wanted in ("auto", one.name):
            return one
    listed = ", ".join(one.name for one in served) or "-"
    raise RemoteError("not_served", server=host_of(where), model=wanted, served=listed)


def _servers(wanted: Remote) -> Servers:
    timeout = Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    return Servers(
        [
            Server(
                url, AsyncOpenAI(api_key=wanted.key, base_url=url, timeout=timeout, max_retries=0)
            )
            for url in wanted.urls
        ]
    )
