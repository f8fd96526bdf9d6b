"""What becomes of a batch's replies once it is done, without a browser."""

import asyncio
import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from demo.audio import Ear
from demo.batch.rows import Row
from demo.batch.work import Done
from demo.loading import Loading
from demo.messages import Message
from demo.settings import Settings
from demo.ui.batch import Steps
from demo.ui.batch_parts import build_parts
from demo.ui.batch_view import Batch
from demo.ui.kit import Kit
from demo.uploads import CLIP_FOLDER
from tests.ui_parts import Parrot

ROW = Row("a.wav", "What?")
BATCH = Batch((ROW,), {0: Done(0, ROW, "A bell.", 1.0)})


@pytest.fixture
def steps() -> Steps:
    kit = Kit(Loading.of(Parrot()), Ear(), Settings(), Message({"n": ("Preview.", "预览。")}, "n"))

    async def build() -> Steps:
        with gr.Blocks():
            return Steps(kit, build_parts())

    return asyncio.run(build())


def finished(steps: Steps) -> dict[Any, Any]:
    return steps.finish(BATCH, SimpleNamespace(headers={}))  # pyright: ignore[reportArgumentType]


def test_the_files_of_replies_lie_where_old_ones_are_deleted(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    finished(steps)
    files = {one.name: one for one in tmp_path.rglob("replies.*")}
    assert set(files) == {"replies.csv", "replies.jsonl"}
    assert all(CLIP_FOLDER.fullmatch(one.parent.name) for one in files.values())
    assert "A bell." in files["replies.jsonl"].read_text()


def test_a_full_disk_is_told_and_the_batch_can_go_on(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", full)
    updates = finished(steps)
    assert "disk is full" in updates[steps.parts.alert]
    assert steps.parts.start in updates
