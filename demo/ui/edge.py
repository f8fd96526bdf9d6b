"""Where Gradio hands over what came in: nothing is fetched or built, and errors are sentences.

Gradio on its own takes whatever upload a file object names for the sender's, fetches whatever
address it names, builds whatever component a chat message names, answers what it cannot read with
an empty error, the sender's words and paths in the log, and forgets to end a handler that is
cancelled before its first output.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta, traverse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from demo.addresses import is_url
from demo.messages import UserError
from demo.owners import TOOL, take
from demo.ui import history as past
from demo.ui.clips import available, marks_of
from demo.ui.kit import Kit
from demo.ui.replies import numbered
from demo.ui.strings import PageError
from demo.watching import place_of, request_id

ASKING: ContextVar[gr.Request | None] = ContextVar("asking")  # whose step is under way

log = logging.getLogger(__name__)


class Page(gr.Blocks):
    """Blocks that tell every error to the sender, and to the log without what was sent."""

    def __init__(self, kit: Kit, **options: Any) -> None:
        super().__init__(**options)
        self._kit = kit
        self._ending: set[asyncio.Task[None]] = set()

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *rest: Any, **more: Any
    ) -> list[Any]:
        """What a handler is called with.

        Raises:
            PageError: the inputs are not of the form that the handler's components take.
            gr.Error: a component's own sentence.
        """
        try:
            inputs = await run_in_threadpool(self._own, block_fn, inputs)
            return await super().preprocess_data(block_fn, inputs, *rest, **more)
        except gr.Error:
            raise
        except Exception as error:
            raise _explained(error) from error

    def _own(self, block_fn: Any, inputs: list[Any]) -> list[Any]:
        """The inputs, where all files in them are the sender's, to be handed on."""
        request = ASKING.get()
        inputs, own, language = [*inputs], partial(_may, request), self._kit.language(request)
        page = block_fn.api_visibility == "private"
        for place, block in enumerate(block_fn.inputs[: len(inputs)]):
            if isinstance(block, gr.Chatbot) and inputs[place]:
                _require_plain(inputs[place])
                inputs[place] = past.present(inputs[place], own, language)
                if page:
                    _require_whole(inputs[place], own)
        return traverse(inputs, partial(_page_file if page else _file, own), is_file_obj_with_meta)

    async def process_api(self, *args: Any, **how: Any) -> dict[str, Any]:
        """One step of a handler; what it raises is a `gr.Error`, of which Gradio prints nothing."""
        ASKING.set(how.get("request"))
        try:
            _require_session(how.get("state"), how.get("request"))
            return await super().process_api(*args, **how)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            language = self._kit.language(how.get("request"))
            if not isinstance(error, UserError):
                log.error("request %s failed: %s", request_id(error) or "-", place_of(error))
            elif not request_id(error):  # it ended before it was a request
                self._kit.watch.refused(error)
            told = error if isinstance(error, UserError) else PageError("failed")
            text = numbered(told.say(language), error, language)
            raise gr.Error(text, print_exception=False) from error

    async def call_function(self, *args: Any, **how: Any) -> dict[str, Any]:
        """One step of a handler; where it is cancelled in mid-step, the handler ends after it."""
        step = asyncio.ensure_future(super().call_function(*args, **how))
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            ending = asyncio.create_task(_end_after(step))
            self._ending.add(ending)  # the loop alone does not keep a task
            ending.add_done_callback(self._ending.discard)
            raise


async def _end_after(step: asyncio.Future[dict[str, Any]]) -> None:
    """Closes the handler that a step is of, which no thread runs any more once that is over."""
    with suppress(Exception):  # the step's own, which nobody waits for
        if handler := (await step)["iterator"]:
            await handler.aclose()


def _require_session(state: Any, request: gr.Request | None) -> None:
    """Raises PageError where the session was begun by somebody else."""
    if state and request:
        tool = request.headers.get(TOOL[0]) == TOOL[1]
        if not take(state, marks_of(request), lasting=not tool):
            raise PageError("session")


def _require_whole(history: past.History, own: Callable[[str], str]) -> None:
    """Raises PageError where a message has lost a clip but not all: only a reload drops one."""
    several = (paths for one in history if len(paths := past.paths_of([one])) > 1)
    for path in chain.from_iterable(several):
        if not own(path):
            raise PageError("gone_of_several", name=Path(path).name)


def _may(request: gr.Request | None, path: str) -> str:
    """What the sender may name: an address, or a file of theirs; else ""."""
    return path if is_url(path) else available(request, path)


def _file(own: Callable[[str], str], file: dict[str, Any]) -> dict[str, Any]:
    """A program's; with an address, it is said to be a stream: of that Gradio fetches nothing."""
    if path := own(file["path"]):
        return {**file, "path": path, "is_stream": is_url(path)}
    raise PageError("outside", name=Path(file["path"]).name)


def _page_file(own: Callable[[str], str], file: dict[str, Any]) -> dict[str, Any]:
    """The page's: none of its handlers takes an address, as they show what they are given."""
    if is_url(file["path"]):
        raise PageError("address")
    if path := own(file["path"]):
        return {**file, "path": path, "is_stream": False}
    raise PageError("gone", name=Path(file["path"]).name)


def _require_plain(history: list[dict[str, Any]]) -> None:
    """Refuses what is neither words nor a file, before Gradio builds the component it names."""
    for message in history:
        for part in message["content"]:
            if part["type"] not in ("text", "file"):
                raise PageError("malformed", reason=f"a part is {part['type']!r}")


def _explained(error: Exception) -> UserError:
    match error, error.__cause__:
        case UserError(), _:
            return error
        case (ValidationError() as found, _) | (_, ValidationError() as found):
            first = found.errors(include_input=False, include_url=False)[0]
            reason = ": ".join(
                filter(None, (".".join(map(str, first["loc"])), first["msg"].rstrip(".")))
            )
            return PageError("malformed", reason=reason)
    return PageError("malformed", reason=type(error).__name__)
