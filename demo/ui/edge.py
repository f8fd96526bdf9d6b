"""Where Gradio hands over what came in: nothing is fetched or built, and errors are sentences.

Gradio on its own fetches whatever address a file object names, builds whatever component a chat
message names, answers what it cannot read with an empty error, the sender's words and paths in
the log, and forgets to end a handler that is cancelled before its first output.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError
from gradio_client.utils import is_file_obj_with_meta, traverse
from pydantic import ValidationError

from demo.addresses import is_url
from demo.messages import UserError
from demo.ui.kit import Kit
from demo.ui.replies import numbered
from demo.ui.strings import PageError
from demo.watching import place_of, request_id

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
        treat = _refused if block_fn.api_visibility == "private" else _left_alone
        try:
            inputs = traverse(inputs, treat, _is_address)
            for block, value in zip(block_fn.inputs, inputs, strict=False):
                if isinstance(block, gr.Chatbot):
                    _require_plain(value)
            return await super().preprocess_data(block_fn, inputs, *rest, **more)
        except gr.Error:
            raise
        except Exception as error:
            raise _explained(error) from error

    async def process_api(self, *args: Any, **how: Any) -> dict[str, Any]:
        """One step of a handler; what it raises is a `gr.Error`, of which Gradio prints nothing."""
        try:
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


def _is_address(value: Any) -> bool:
    return is_file_obj_with_meta(value) and is_url(value["path"])


def _left_alone(file: dict[str, Any]) -> dict[str, Any]:
    """A file object whose address Gradio hands on: of a stream it moves nothing to its cache."""
    return {**file, "is_stream": True}


def _refused(file: dict[str, Any]) -> dict[str, Any]:
    """Of the page's own handlers none takes an address, as they show what they are given."""
    raise PageError("address")


def _require_plain(history: list[dict[str, Any]] | None) -> None:
    """Refuses what is neither words nor a file, before Gradio builds the component it names."""
    for message in history or []:
        for part in message["content"]:
            if part["type"] not in ("text", "file"):
                raise PageError("malformed", reason=f"a part is {part['type']!r}")


def _explained(error: Exception) -> UserError:
    match error, error.__cause__:
        case UserError(), _:
            return error
        case InvalidPathError(), _:
            return PageError("not_uploaded")
        case (ValidationError() as found, _) | (_, ValidationError() as found):
            first = found.errors(include_input=False, include_url=False)[0]
            reason = ": ".join(
                filter(None, (".".join(map(str, first["loc"])), first["msg"].rstrip(".")))
            )
            return PageError("malformed", reason=reason)
    return PageError("malformed", reason=type(error).__name__)
