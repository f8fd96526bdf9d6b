"""What MCP clients are served: the endpoints that keep nothing from call to call.

Gradio makes a tool of every public endpoint and calls them through a client of its own. `/chat`
keeps its session's conversation, which a tool has not. That client would send any file of this
machine that a caller names, as if it were its own to give; and where there are accounts, it needs
a login.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from typing import Any

from gradio import Blocks
from gradio_client import Client
from gradio_client.client import Endpoint

from demo.gate import cookie_name

NO_TOOLS = {"/chat"}


def send_no_files() -> None:
    """Has Gradio's clients in this process hand on what they are given; before `launch`.

    Whether a file is its caller's is asked where it comes in.
    """
    Endpoint.process_input_files = _as_given


def _as_given(self: Endpoint, *data: Any) -> tuple[Any, ...]:
    return data


@contextmanager
def left_out() -> Iterator[None]:
    """Around `launch`: Gradio warns of the very endpoints that `serve_tools` leaves out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This MCP server includes a tool that has a gr.State")
        yield


def serve_tools(page: Blocks) -> None:
    """Leaves out what is no tool, and lets Gradio's own client in; after `launch`, with MCP."""
    server = page.mcp_server_obj
    assert server
    found = server.tool_to_endpoint.items()
    server.tool_to_endpoint = {tool: end for tool, end in found if end not in NO_TOOLS}
    if page.auth:
        server._client_instance = _logged_in(page)


def _logged_in(page: Blocks) -> Client:
    """What Gradio would make, with a login; a call itself goes by its caller's own."""
    token = token_urlsafe()
    page.app.tokens[token] = "mcp"
    return Client(
        str(page.local_url),
        download_files=False,
        verbose=False,
        analytics_enabled=False,
        ssl_verify=False,
        _skip_components=False,
        headers={"x-gradio-user": "mcp"},
        httpx_kwargs={"cookies": {cookie_name(page.app): token}},
    )
