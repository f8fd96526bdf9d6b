"""What of the uploads is deleted, and what is let go of one that the disk did not take."""

import asyncio
import errno
import gc
import time
import weakref
from pathlib import Path
from typing import Any

from gradio.route_utils import API_PREFIX
from starlette.types import Message

from demo.uploads import BROKEN_OFF_SECONDS, Uploads, clean, shrink


def test_only_what_nobody_writes_to_any_more_is_deleted(tmp_path: Path):
    old, new, folder = tmp_path / "tmp1", tmp_path / "tmp2", tmp_path / ("3f" * 32)
    folder.mkdir()
    for file in (old, new, folder / "clip.wav"):
        file.write_bytes(b"sound")
    time.sleep(0.3)
    new.touch()
    clean(tmp_path, new.lstat().st_mtime, broken_off=0.2)
    assert not old.exists()
    assert new.exists()
    assert (folder / "clip.wav").exists()
    clean(tmp_path / "gone", time.time())


def test_clips_are_gone_after_a_day_and_nothing_else_is(tmp_path: Path):
    clips, others = tmp_path / ("3f" * 32), tmp_path / "notes"
    for folder in (clips, others):
        folder.mkdir()
        (folder / "clip.wav").write_bytes(b"sound")
    clean(tmp_path, time.time())
    assert (clips / "clip.wav").exists()
    clean(tmp_path, time.time() + 25 * 3600)
    assert not clips.exists()
    assert (others / "clip.wav").exists()


def test_a_folder_stays_into_which_a_clip_is_about_to_be_moved(tmp_path: Path):
    folder = tmp_path / ("3f" * 32)
    folder.mkdir()
    clean(tmp_path, time.time())
    assert folder.exists()
    clean(tmp_path, time.time() + BROKEN_OFF_SECONDS + 1)
    assert not folder.exists()


def test_the_oldest_clips_make_room_where_all_are_too_much(tmp_path: Path):
    clips = [tmp_path / (digit * 64) / "clip.wav" for digit in "cab"]
    note = tmp_path / "notes" / "note.txt"
    for file in (note, *clips):
        file.parent.mkdir()
        file.write_bytes(bytes(100))
        time.sleep(0.02)
    shrink(tmp_path, 300)
    assert all(file.exists() for file in clips)
    shrink(tmp_path, 299)
    assert [file.parent.exists() for file in clips] == [False, True, True]
    shrink(tmp_path, 0)
    assert list(tmp_path.iterdir()) == [note.parent]
    assert note.exists()


class _Written:
    """Stands for the open file of an upload."""


def test_what_was_written_of_a_refused_upload_is_let_go_at_once():
    written: list[weakref.ref[_Written]] = []

    async def app(*_: Any) -> None:
        file = _Written()
        written.append(weakref.ref(file))
        full = OSError(errno.ENOSPC, "No space left on device")
        raise full  # which has a frame that has it: only the collector would find both

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        assert written
        assert written[0]() is None

    scope = {"type": "http", "path": f"{API_PREFIX}/upload", "headers": []}
    gc.disable()
    try:
        asyncio.run(Uploads(app)(scope, receive, send))
    finally:
        gc.enable()
