"""A real MCP client, for as long as one call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.serving import PATIENCE


@asynccontextmanager
async def connected(url: str, **credentials: Any) -> AsyncIterator[ClientSession]:
    async with (
        httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True, **credentials) as http,
        streamable_http_client(f"{url}/gradio_api/mcp/", http_client=http) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield session


async def tools(url: str, **credentials: Any) -> set[str]:
    """The names of the tools."""
    async with connected(url, **credentials) as session:
        return {tool.name for tool in (await session.list_tools()).tools}


async def call(url: str, tool: str, arguments: dict[str, Any], **credentials: Any) -> str:
    """What a tool answers; what went wrong is raised."""
    async with connected(url, **credentials) as session:
        result = await session.call_tool(tool, arguments)
    text = getattr(result.content[0], "text", "")
    assert not result.isError, text
    return text
