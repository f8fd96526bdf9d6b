"""The batch tab: many clips, one question, a table that fills; stop, go on, download.

A batch begins at once and then waits for nobody's turn in the chat: the engine lets other
requests in between two lots. How many may run, of a user and in all, is `demo.watching`'s matter.
"""

import logging
import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from demo.batch.lines import as_csv, as_json, as_lines
from demo.batch.rows import Row, question
from demo.batch.work import Done, Manner, work
from demo.engine import Engine, Options
from demo.messages import Language, UserError
from demo.ui.batch_parts import Parts, build_parts
from demo.ui.batch_rows import rows_of
from demo.ui.batch_view import SHOWN_ROWS, Batch, progress, scored, table, time_left
from demo.ui.chat import QUIET, STREAMS, Updates
from demo.ui.clips import handed_out
from demo.ui.kit import Kit, user_of
from demo.ui.panel import Panel, chosen
from demo.ui.parts import told
from demo.ui.replies import numbered
from demo.ui.turn import until_ready
from demo.watching import place_of, request_id

YIELD_SECONDS = 0.15
UPDATE_SECONDS = 0.25
ROWS_A_SECOND = 2000  # that are sent to a browser

log = logging.getLogger(__name__)


def build_batch(kit: Kit, panel: Panel) -> None:
    parts = build_parts()
    _wire(Steps(kit, parts), panel)


@dataclass(frozen=True)
class Steps:
    """What happens to a batch."""

    kit: Kit
    parts: Parts

    def start(
        self, files: list[str] | None, task: str, target: str, own: str, request: gr.Request
    ) -> Updates:
        """Puts the rows into the table and sets out to answer them."""
        language = self.kit.language(request)
        try:
            prompt = question(task, target, own, language)
            rows = rows_of(files or [], prompt)
        except UserError as error:
            return {self.parts.alert: told(error.say(language))}
        return self._begun(Batch(tuple(rows), {}, task, prompt), language)

    def go_on(self, batch: Batch, request: gr.Request) -> Updates:
        """Sets out to answer only what is left."""
        return self._begun(batch, self.kit.language(request))

    def _begun(self, batch: Batch, language: Language) -> Updates:
        parts = self.parts
        return {
            **self._table(batch, language),
            parts.alert: "",
            parts.score: "",
            parts.start: gr.Button(visible=False),
            parts.go_on: gr.Button(visible=False),
            parts.stop: gr.Button(visible=True),
            parts.csv: gr.DownloadButton(visible=False),
            parts.jsonl: gr.DownloadButton(visible=False),
            parts.pending: uuid.uuid4().hex,
        }

    def run(self, request: gr.Request, batch: Batch, *fields: Any) -> Iterator[Any]:
        """The table as it fills; a row's error stands in its row."""
        language = self.kit.language(request)
        try:
            manner = manner_of(*chosen(*fields), user_of(request))
            for status in until_ready(self.kit.loading):
                text = self.kit.say(request, "batch_loading", status=status.text.say(language))
                yield {self.parts.progress: progress(batch, language, text)}
            yield from self._filling(batch, manner, self.kit.loading.wait(), language)
        except UserError as error:
            yield {self.parts.alert: told(numbered(error.say(language), error, language))}
        except Exception as error:  # after an error of ours `finish` must still run
            log.error("batch %s failed: %s", request_id(error), place_of(error))
            text = numbered(self.kit.say(request, "failed"), error, language)
            yield {self.parts.alert: told(text)}

    def _filling(
        self, batch: Batch, manner: Manner, engine: Engine, language: Language
    ) -> Iterator[Any]:
        begun, begun_with = time.monotonic(), batch.replies
        pace = UPDATE_SECONDS + min(len(batch.rows), SHOWN_ROWS) / ROWS_A_SECOND
        told, shown, shown_at = begun, batch, begun - pace
        with closing(worked(batch.left, manner, engine, self.kit)) as coming:
            for done in coming:
                batch = batch if done is None else batch.with_(done)
                now = time.monotonic()
                if batch is not shown and now - shown_at >= pace:
                    told, shown, shown_at = now, batch, now
                    left = time_left(batch, begun_with, now - begun, language)
                    yield self._table(batch, language, left)
                elif now - told >= YIELD_SECONDS:  # only at a yield can it be closed
                    told = now
                    yield gr.skip()
        yield self._table(batch, language)

    def _table(self, batch: Batch, language: Language, state: str = "") -> Updates:
        return {
            self.parts.batch: batch,
            self.parts.progress: progress(batch, language, state),
            self.parts.table: table(batch, language),
        }

    def finish(self, batch: Batch, request: gr.Request) -> Updates:
        """After the last row or a stop: what can be had of it, and what can be done next."""
        parts, language = self.parts, self.kit.language(request)
        state = self.kit.say(request, "batch_stopped") if batch.left else ""
        updates: Updates = {
            parts.progress: progress(batch, language, state),
            parts.score: scored(batch, language),
            parts.start: gr.Button(visible=True),
            parts.go_on: gr.Button(visible=bool(batch.left)),
            parts.stop: gr.Button(visible=False),
        }
        if batch.done and self.kit.loading.status().phase == "ready":
            try:
                updates |= self._downloads(batch, request)
            except OSError as error:  # the disk is full: the replies are still on the page
                log.warning("the replies of a batch could not be kept: %s", error.strerror)
                updates[parts.alert] = told(self.kit.say(request, "not_saved"))
        return updates

    def _downloads(self, batch: Batch, request: gr.Request) -> Updates:
        model = self.kit.loading.wait().info.model
        language = self.kit.language(request)
        told = [as_json(batch.done[place], model, language) for place in sorted(batch.done)]
        updates: Updates = {}
        files = (
            (self.parts.csv, "replies.csv", as_csv),
            (self.parts.jsonl, "replies.jsonl", as_lines),
        )
        for button, name, form in files:
            path = handed_out(form(told).encode(), name, request)
            updates[button] = gr.DownloadButton(value=path, visible=True)
        return updates


def worked(
    rows: Mapping[int, Row], manner: Manner, engine: Engine, kit: Kit
) -> Generator[Done | None]:
    """`work` on a place among other batches, and seen by the host.

    Raises:
        UserError: there is no place, or the engine takes nothing at all.
    """
    with (
        kit.watch.batch(manner.user, len(rows)) as seen,
        closing(work(rows, manner, engine, kit.ear, kit.hands)) as coming,
    ):
        for done in coming:
            if done is not None:
                seen.row(failed=done.error is not None)
            yield done


def manner_of(system: str | None, options: Options, user: str) -> Manner:
    """How a batch is answered: without sampling, where nothing else was asked for."""
    temperature = 0.0 if options.temperature is None else options.temperature
    return Manner(replace(options, temperature=temperature), system, user=user)


def _wire(steps: Steps, panel: Panel) -> None:
    parts = steps.parts
    asked = [parts.files, parts.task, parts.language, parts.prompt]
    parts.start.click(steps.start, asked, parts.shown, **STREAMS)
    parts.go_on.click(steps.go_on, parts.batch, parts.shown, **STREAMS)
    running = parts.pending.change(
        steps.run,
        [parts.batch, *panel.inputs],
        parts.shown,
        concurrency_limit=None,
        show_progress="hidden",
        api_visibility="private",
    )
    running.then(steps.finish, parts.batch, parts.shown, **QUIET)
    parts.stop.click(steps.finish, parts.batch, parts.shown, cancels=[running], **QUIET)
