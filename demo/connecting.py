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

    Raises:
        RemoteError: a server refuses the key, or does not serve the model.
    """
    report(Status("load", None, Message(SENTENCES, "awaited", servers=wanted.hosts)))
    served, where = asyncio.run(_first_answer(wanted))
    names = [one.name for one in served]
    model = names[0] if wanted.model == "auto" and names else wanted.model
    found = next((one for one in served if one.name == model), None)
    if found is None:
        listed = ", ".join(names) or "-"
        raise RemoteError("not_served", server=host_of(where), model=model, served=listed)
    info = EngineInfo(model, wanted.hosts, "", found.context_tokens or 0, False, Options())
    return RemoteEngine(_servers(wanted), info, wanted.budgets)


async def _first_answer(wanted: Remote) -> tuple[list[Served], str]:
    """What the first server that answers serves, and its URL; asks until one does."""
    servers = _servers(wanted)
    try:
        while True:
            for server in servers.all:
                try:
                    return await server.models(), server.url
                except (AuthenticationError, PermissionDeniedError):
                    raise RemoteError("key", server=host_of(server.url)) from None
                except OpenAIError:
                    continue
            await asyncio.sleep(RETRY_SECONDS)
    finally:
        await servers.close()


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
