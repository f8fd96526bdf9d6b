"""What the batch tab is made of: where clips go in, what is asked of them, where replies stand."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.components import Component

from demo.batch.collect import is_sound
from demo.batch.manifest import is_manifest
from demo.batch.rows import CAPTION, CHOICES, OWN, RAW
from demo.ui.batch_view import Batch
from demo.ui.chat import QUIET, Updates
from demo.ui.strings import label
from demo.ui.tasks import LANGUAGES, TASKS


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    files: gr.File
    more: gr.UploadButton
    folder: gr.UploadButton
    task: gr.Dropdown
    language: gr.Dropdown
    prompt: gr.Textbox
    start: gr.Button
    go_on: gr.Button
    stop: gr.Button
    alert: gr.HTML
    progress: gr.HTML
    table: gr.HTML
    score: gr.HTML
    csv: gr.DownloadButton
    jsonl: gr.DownloadButton
    pending: gr.State
    batch: gr.State

    @property
    def shown(self) -> list[Component]:
        """What a batch changes as it goes."""
        return [self.start, self.go_on, self.stop, self.alert, self.progress, self.table,
                self.score, self.csv, self.jsonl, self.pending, self.batch]  # fmt: skip


def build_parts() -> Parts:
    """The tab and all that is in it, the entry wired within itself."""
    with gr.Tab(label("batch_tab"), id="batch", elem_classes="room batch"):
        files, more, folder = _build_files()
        task, language, prompt = _build_task()
        with gr.Row(elem_classes="batch-go"):
            start = gr.Button(label("batch_start"), variant="primary", elem_id="batch-start")
            go_on = gr.Button(label("batch_go_on"), visible=False, elem_id="batch-go-on")
            stop = gr.Button(
                label("stop"), visible=False, elem_id="batch-stop", elem_classes="stop"
            )
        alert = gr.HTML("", elem_classes="alert", padding=False)
        bar = gr.HTML("", padding=False, elem_id="batch-bar")
        rows = gr.HTML("", padding=False, elem_id="batch-rows", js_on_load=SCROLLS)
        score = gr.HTML("", padding=False, elem_id="batch-score")
        with gr.Row(elem_classes="batch-downloads"):
            csv = gr.DownloadButton(
                label("batch_csv"), size="sm", visible=False, elem_id="batch-csv"
            )
            jsonl = gr.DownloadButton(
                label("batch_jsonl"), size="sm", visible=False, elem_id="batch-jsonl"
            )
        pending, batch = gr.State(None), gr.State(Batch())
    parts = Parts(files, more, folder, task, language, prompt, start, go_on, stop, alert, bar, rows,
                  score, csv, jsonl, pending, batch)  # fmt: skip
    _wire_entry(parts)
    return parts


SCROLLS = "element.closest('.block')?.setAttribute('tabindex', '0')"  # by keyboard too


def _build_files() -> tuple[gr.File, gr.UploadButton, gr.UploadButton]:
    gr.Markdown(label("batch_empty"), elem_classes="batch-hint")
    files = gr.File(
        file_count="multiple",
        type="filepath",
        label=label("batch_files"),
        height=180,
        elem_id="batch-files",
    )
    with gr.Row(elem_classes="batch-small"):
        more = gr.UploadButton(
            label("batch_more"), file_count="multiple", size="sm", elem_id="batch-more"
        )
        folder = gr.UploadButton(
            label("batch_folder"), file_count="directory", size="sm", elem_id="batch-folder"
        )
    return files, more, folder


def _build_task() -> tuple[gr.Dropdown, gr.Dropdown, gr.Textbox]:
    with gr.Row(elem_classes="batch-task"):
        task = gr.Dropdown(
            choices=[(label(f"task_{name}"), name) for name in CHOICES],
            value=TASKS[0],
            label=label("batch_task"),
            filterable=False,
            elem_id="batch-task",
        )
        language = gr.Dropdown(
            choices=[(label(name), name) for name in LANGUAGES],
            value=LANGUAGES[0],
            label=label("language"),
            filterable=False,
            visible=False,
            elem_id="batch-language",
        )
    prompt = gr.Textbox(label=label("batch_prompt"), visible=False, elem_id="batch-prompt")
    return task, language, prompt


def _wire_entry(parts: Parts) -> None:
    """What the entry does by itself: fields that a task needs, a folder's files."""

    def fields(task: str) -> Updates:
        value: Updates = {"value": CAPTION} if task == RAW else {}
        return {
            parts.language: gr.Dropdown(visible=task == "translate"),
            parts.prompt: gr.Textbox(visible=task in (OWN, RAW), **value),
        }

    def added(folder: list[str] | None, files: list[str] | None) -> list[str]:
        found = [path for path in folder or [] if is_sound(Path(path)) or is_manifest(path)]
        return list(dict.fromkeys([*(files or []), *found]))

    parts.task.input(fields, parts.task, [parts.language, parts.prompt], **QUIET)
    for button in (parts.more, parts.folder):
        button.upload(added, [button, parts.files], parts.files, **QUIET)
