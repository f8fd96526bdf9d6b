"""What both tabs do alike: send a turn and answer it; stop, retry, undo, edit, clear.

One handler shows a turn, streams its reply and gives the entry back: whose turn is next is the
engine's matter, so none waits in Gradio's queue. A retry or an edit first ends the reply that is
being made, and sets `pending`, which starts the new one.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from demo.ui import history as past
from demo.ui.clips import available
from demo.ui.feedback import remember
from demo.ui.history import History
from demo.ui.kit import Kit
from demo.ui.panel import Panel
from demo.ui.parts import told
from demo.ui.replies import replies

Updates = dict[Any, Any]
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# Only an event of the queue streams, or tells the browser that a State changed.
STREAMS: dict[str, Any] = {**QUIET, "queue": True, "concurrency_limit": None}


class Entry(Protocol):
    """Where a tab's turns are made: a microphone, a box."""

    focus: ClassVar[str]  # where it begins, as a selector

    @property
    def components(self) -> Sequence[Any]: ...

    def busy(self) -> Updates:
        """Emptied, and closed while a reply is made."""
        ...

    def idle(self) -> Updates: ...

    def refill(self, text: str, paths: Sequence[str]) -> Updates | None:
        """A turn put back to be sent again; None where the entry cannot take it."""
        ...


@dataclass(frozen=True)
class Chat:
    """The parts of one tab, wired by `wire`."""

    name: str
    kit: Kit
    panel: Panel
    chatbot: gr.Chatbot
    stop: gr.Button
    alert: gr.HTML
    entry: Entry
    pending: gr.State
    saved: gr.BrowserState

    @property
    def outputs(self) -> list[Component]:
        return [*self.answered, self.pending]

    @property
    def answered(self) -> list[Component]:
        """What a reply changes; the browser works for each of these at every piece of it."""
        return [self.chatbot, self.stop, self.alert, self.saved, *self.entry.components]

    # The steps of a turn.

    def send(
        self,
        history: History,
        request: gr.Request,
        fields: Sequence[Any],
        script: Sequence[History] = (),
    ) -> Iterator[Any]:
        """Shows `history`, whose last turn is the user's, answers it, and gives the entry back.

        `script` are user's turns to send after it, one by one.
        """
        yield self.begun(history, request)
        yield from self._answered(history, script, request, fields)

    def speak(
        self,
        text: str,
        paths: Sequence[str],
        history: History,
        request: gr.Request,
        fields: Sequence[Any],
    ) -> Iterator[Any]:
        """Sends what somebody typed, recorded or dropped; says so where that is nothing."""
        if turn := past.user_turn(text, paths):
            yield from self.send([*history, *turn], request, fields)
        else:
            yield {self.alert: told(self.kit.say(request, "nothing_to_send"))}

    def begun(self, history: History, request: gr.Request) -> Updates:
        waiting = past.note(self.kit.say(request, "waiting"), "pending", pending=True)
        return {
            self.chatbot: [*history, waiting],
            self.stop: gr.Button(visible=True),
            self.alert: "",
            **self.entry.busy(),
        }

    def again(self, request: gr.Request, history: History, *fields: Any) -> Iterator[Any]:
        """Answers the last turn of a history that `begun` has shown."""
        yield from self._answered(past.without_pending(history), [], request, fields)

    def _answered(
        self,
        history: History,
        script: Sequence[History],
        request: gr.Request,
        fields: Sequence[Any],
    ) -> Iterator[Any]:
        shown, saved = history, False
        for grown in replies(self.kit, history, script, request, fields):
            update: Updates = {} if grown == shown else {self.chatbot: grown}
            # Ciphered by the browser, which must not keep the first word waiting.
            if not saved and (past.kind_of(grown[-1]) or shown is not history):
                update[self.saved], saved = past.kept(history), True
            # Also without news, as only at a yield can it be closed.
            yield update or gr.skip()
            shown = grown
        yield self.finish(shown, request)

    def finish(self, history: History, request: gr.Request) -> Updates:
        """Gives the entry back; a turn that failed goes back into it, if it can take it.

        Not where words of a reply have come: they stay, and the turn can be retried.
        """
        history = past.settled(history, self.kit.language(request))
        before, turn, replied = past.split(history)
        problem = None if past.has_words(replied) else past.failure(history)
        refilled = problem and self.entry.refill(past.words_of(turn), past.paths_of(turn))
        if refilled:
            history = before
        return {
            self.chatbot: history,
            self.stop: gr.Button(visible=False),
            self.alert: told(problem) if refilled and problem else "",
            self.saved: past.kept(history),
            **self.entry.idle(),
            **(refilled or {}),
        }

    # What a person does to the conversation.

    def retry(self, history: History, request: gr.Request) -> Updates:
        before, turn, _ = past.split(history)
        return self._set_out([*before, *turn], request)

    def undo(self, history: History) -> Updates:
        before, turn, _ = past.split(history)
        refilled = self.entry.refill(past.words_of(turn), past.paths_of(turn)) or {}
        alert = told(gone) if (gone := past.gone_in(turn)) else ""
        return {self.chatbot: before, self.saved: past.kept(before), self.alert: alert, **refilled}

    def edit(self, history: History, request: gr.Request, event: gr.EditData) -> Updates:
        index = event.index if isinstance(event.index, int) else event.index[0]
        return self._set_out(past.edited(history, index, str(event.value)), request)

    def _set_out(self, history: History, request: gr.Request) -> Updates:
        asked = {self.saved: past.kept(history), self.pending: uuid.uuid4().hex}
        return {**self.begun(history, request), **asked}

    def clear(self) -> Updates:
        return {
            self.chatbot: [],
            self.stop: gr.Button(visible=False),
            self.alert: "",
            self.saved: [],
            **self.entry.idle(),
        }

    def restore(self, saved: History | None, request: gr.Request) -> History:
        own = partial(available, request)
        return past.restored(saved or [], own, self.kit.language(request))

    def like(self, history: History, event: gr.LikeData) -> None:
        index = event.index if isinstance(event.index, int) else event.index[0]
        if self.kit.settings.feedback_file:
            remember(self.kit.settings.feedback_file, self.name, history[: index + 1], event.liked)


def wire(chat: Chat, blocks: gr.Blocks, sent: Sequence[Dependency]) -> None:
    """Connects the parts that every tab has; `sent` are the tab's own events that send a turn."""
    again = chat.pending.change(
        chat.again, [chat.chatbot, *chat.panel.inputs], chat.answered, **STREAMS
    )
    answering: list[Any] = [*sent, again]
    for event in answering:
        # The entry left the page meanwhile, and a keyboard's focus with it.
        event.then(None, js=f"() => window.demoFocus({chat.entry.focus!r})")
    chatbot, outputs = chat.chatbot, chat.outputs
    chat.stop.click(chat.finish, chatbot, outputs, cancels=answering, **QUIET)
    chatbot.retry(chat.retry, chatbot, outputs, cancels=answering, **STREAMS)
    chatbot.undo(chat.undo, chatbot, outputs, cancels=answering, **QUIET)
    chatbot.edit(chat.edit, chatbot, outputs, cancels=answering, **STREAMS)
    chatbot.clear(chat.clear, None, outputs, cancels=answering, **QUIET)
    blocks.load(chat.restore, chat.saved, chatbot, **QUIET)
    if chat.kit.settings.feedback_file:
        chatbot.like(chat.like, chatbot, None, **QUIET)
