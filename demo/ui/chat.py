"""What both tabs do alike: begin a turn, answer it, finish it; stop, retry, undo, edit, clear.

A handler that is done at once *begins*: it puts the turn into the Chatbot and sets `pending`.
That starts `answer`, the only handler here that uses the engine, which waits in Gradio's queue
for its turn. `finish` gives the entry back and keeps the history in the browser.
"""

import logging
import uuid
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Protocol

import gradio as gr
from gradio.components import Component
from gradio.utils import get_upload_folder

from demo.audio import Clip, describe
from demo.engine import Engine
from demo.messages import Language, Message, UserError
from demo.ui import history as past
from demo.ui.feedback import remember
from demo.ui.history import History
from demo.ui.kit import MODEL, Kit
from demo.ui.panel import Panel, chosen
from demo.ui.strings import SENTENCES
from demo.ui.turn import paced, reply, until_ready

log = logging.getLogger(__name__)

Updates = dict[Any, Any]
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# Only an event of the queue tells the browser that a State changed; this one waits for nobody.
BEGINS: dict[str, Any] = {**QUIET, "queue": True, "concurrency_limit": None}


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
        parts = [self.chatbot, self.stop, self.alert, self.pending, self.saved]
        return [*parts, *self.entry.components]

    # The steps of a turn.

    def begin(
        self, history: History, request: gr.Request, script: Sequence[History] = ()
    ) -> Updates:
        """Shows `history`, whose last turn is the user's, and sets out to answer it.

        `script` are user's turns to send after it, one by one.
        """
        waiting = past.note(self.kit.say(request, "waiting"), "pending", pending=True)
        return {
            self.chatbot: [*history, waiting],
            self.stop: gr.Button(visible=True),
            self.alert: "",
            self.pending: {"id": uuid.uuid4().hex, "script": list(script)},
            self.saved: past.kept(history),
            **self.entry.busy(),
        }

    def answer(
        self, request: gr.Request, pending: dict[str, Any] | None, history: History, *fields: Any
    ) -> Iterator[History]:
        """The history as the reply grows; an error becomes a note in it."""
        language = self.kit.language(request)
        history = past.without_pending(history)
        try:
            for turn in [[], *(pending or {}).get("script", [])]:
                history = [*history, *turn]
                history = yield from self._replies(history, fields, language)
        except UserError as error:
            yield [*history, past.note(error.say(language), "error")]
        except Exception:  # at the page's edge: after an error of ours `finish` must still run
            log.exception("a reply failed")
            yield [*history, past.note(_say("failed", language), "error")]

    def _replies(
        self, history: History, fields: Sequence[Any], language: Language
    ) -> Generator[History, None, History]:
        system, options = chosen(*fields)
        engine = yield from self._engine(history, language)
        count = len(past.paths_of(past.split(history)[1]))
        shown = heard = history
        listening = past.note(_say("listening", language), "pending", pending=True)
        for now in paced(reply(history, system, options, engine, self.kit.ear)):
            clips = now.clips[len(now.clips) - count :]
            heard = [*history, *_notes(clips, language)]
            shown = [*heard, *past.said(now.text)] if now.text else [*heard, listening]
            yield shown
        if shown[-1] is listening:
            shown = [*heard, past.note(_say("silent", language), "silent")]
            yield shown
        return shown

    def _engine(self, history: History, language: Language) -> Generator[History, None, Engine]:
        for status in until_ready(self.kit.loading):
            text = _say("still_loading", language, status=status.text.say(language))
            yield [*history, past.note(text, "pending", pending=True)]
        return self.kit.loading.wait()

    def finish(self, history: History, request: gr.Request) -> Updates:
        """Gives the entry back; a turn that failed goes back into it, if it can take it."""
        history = past.settled(history, self.kit.language(request))
        problem = past.failure(history)
        before, turn, _ = past.split(history)
        refilled = problem and self.entry.refill(past.words_of(turn), past.paths_of(turn))
        if refilled:
            history = before
        return {
            self.chatbot: history,
            self.stop: gr.Button(visible=False),
            self.alert: self.told(problem) if refilled and problem else "",
            self.saved: past.kept(history),
            **self.entry.idle(),
            **(refilled or {}),
        }

    def told(self, problem: str) -> str:
        return f'<p class="problem" role="alert">{escape(problem)}</p>'

    # What a person does to the conversation.

    def retry(self, history: History, request: gr.Request) -> Updates:
        before, turn, _ = past.split(history)
        return self.begin([*before, *turn], request)

    def undo(self, history: History) -> Updates:
        before, turn, _ = past.split(history)
        refilled = self.entry.refill(past.words_of(turn), past.paths_of(turn)) or {}
        return {self.chatbot: before, self.saved: past.kept(before), self.alert: "", **refilled}

    def edit(self, history: History, request: gr.Request, event: gr.EditData) -> Updates:
        index = event.index if isinstance(event.index, int) else event.index[0]
        return self.begin(past.edited(history, index, str(event.value)), request)

    def clear(self) -> Updates:
        return {
            self.chatbot: [],
            self.stop: gr.Button(visible=False),
            self.alert: "",
            self.saved: [],
            **self.entry.idle(),
        }

    def restore(self, saved: History | None, request: gr.Request) -> History:
        return past.restored(saved or [], available, self.kit.language(request))

    def like(self, history: History, event: gr.LikeData) -> None:
        index = event.index if isinstance(event.index, int) else event.index[0]
        if self.kit.settings.feedback_file:
            remember(self.kit.settings.feedback_file, self.name, history[: index + 1], event.liked)


def wire(chat: Chat, blocks: gr.Blocks) -> None:
    """Connects the parts that every tab has; what begins a turn is the tab's own."""
    answering = chat.pending.change(
        chat.answer,
        [chat.pending, chat.chatbot, *chat.panel.inputs],
        chat.chatbot,
        concurrency_id=MODEL,
        concurrency_limit=1,
        trigger_mode="multiple",
        show_progress="minimal",
        api_visibility="private",
    )
    finished = answering.then(chat.finish, chat.chatbot, chat.outputs, **QUIET)
    # The entry left the page meanwhile, and a keyboard's focus with it.
    finished.then(None, js=f"() => window.demoFocus({chat.entry.focus!r})")
    chatbot, outputs = chat.chatbot, chat.outputs
    chat.stop.click(chat.finish, chatbot, outputs, cancels=[answering], **QUIET)
    chatbot.retry(chat.retry, chatbot, outputs, cancels=[answering], **BEGINS)
    chatbot.undo(chat.undo, chatbot, outputs, cancels=[answering], **QUIET)
    chatbot.edit(chat.edit, chatbot, outputs, cancels=[answering], **BEGINS)
    chatbot.clear(chat.clear, None, outputs, cancels=[answering], **QUIET)
    blocks.load(chat.restore, chat.saved, chatbot, **QUIET)
    if chat.kit.settings.feedback_file:
        chatbot.like(chat.like, chatbot, None, **QUIET)


def available(path: str) -> bool:
    """Whether a clip is still there, and is one that was sent to this page."""
    file = Path(path).resolve()
    return file.is_relative_to(Path(get_upload_folder()).resolve()) and file.is_file()


def _notes(clips: Sequence[Clip], language: Language) -> list[dict[str, Any]]:
    """What the person should know of the clips that were heard: long ones, damaged ones."""
    return [
        past.note(sentence, f"heard-{number}")
        for number, sentence in enumerate(
            text for clip in clips for text in _remarks(clip, language)
        )
    ]


def _remarks(clip: Clip, language: Language) -> list[str]:
    parts = [f"{clip.name}: {describe(clip).say(language)}"] if len(clip.windows()) > 1 else []
    return parts + [warning.say(language) for warning in clip.warnings]


def _say(key: str, language: Language, **values: object) -> str:
    return Message(SENTENCES, key, **values).say(language)
