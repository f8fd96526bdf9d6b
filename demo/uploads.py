"""The folder in which uploads lie: seen to take files at the start, kept from filling up.

A disk that is full is told as a sentence instead of an error of the server's own. What is left of
uploads that broke off, and the clips of a process that was killed, are forgotten by Gradio: they
are deleted here once they are old. This module knows no page and no sound.
"""

import errno
import logging
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.messages import Message, Sentences, UserError, language_of

SENTENCES: Sentences = {
    "full": (
        "The disk of this server is full: the file could not be uploaded. What you typed is kept; "
        "please try a shorter file, or again later.",
        "服务器磁盘已满，文件未能上传。已输入的内容仍在，请换一个较短的文件，或稍后再试。",
    ),
    "refused": (
        "This server cannot keep files at present: the file could not be uploaded. What you typed "
        "is kept; please tell the host of this page.",
        "服务器目前无法保存文件，文件未能上传。已输入的内容仍在，请告知本页面的管理者。",
    ),
    "folder": (
        "Uploads cannot be kept in {folder}: {reason}. Name another folder by GRADIO_TEMP_DIR.",
        "无法在 {folder} 中保存上传的文件：{reason}。请用 GRADIO_TEMP_DIR 指定其他目录。",
    ),
}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT)
INSUFFICIENT_STORAGE = 507
BROKEN_OFF_SECONDS = 600  # without a byte more
CLIP_FOLDER = re.compile("[0-9a-f]{64}")  # Gradio's name for the folder of one clip
CLIPS_KEPT_SECONDS = 24 * 3600

log = logging.getLogger(__name__)


class FolderError(UserError):
    """No file can be written where uploads are to lie."""

    sentences: ClassVar[Sentences] = SENTENCES


def take_own_folder() -> None:
    """Lets Gradio keep uploads apart from other programs', as what is old there is deleted."""
    owner = os.getuid() if hasattr(os, "getuid") else "own"
    folder = Path(tempfile.gettempdir()) / f"qwen2-audio-{owner}"
    os.environ.setdefault("GRADIO_TEMP_DIR", str(folder))


def require_writable(folder: Path) -> None:
    """Raises FolderError where `folder` takes no file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise FolderError("folder", folder=folder, reason=error.strerror) from None


class Uploads:
    """ASGI middleware: tells that the disk takes no upload, in `language` or the sender's own."""

    def __init__(self, app: ASGIApp, language: str = "") -> None:
        self.app, self._language = app, language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except OSError as error:
            upload = scope["type"] == "http" and scope["path"].endswith("/upload")
            if not upload or error.errno not in (*FULL, *REFUSED):
                raise
            log.warning("an upload could not be kept: %s", error.strerror)
            key = "full" if error.errno in FULL else "refused"
            asked = Headers(scope=scope).get("accept-language")
            text = Message(SENTENCES, key).say(language_of(asked, self._language))
            await PlainTextResponse(text, INSUFFICIENT_STORAGE)(scope, receive, send)


def clean(folder: Path, broken_off: float = BROKEN_OFF_SECONDS) -> None:
    """Deletes uploads that broke off so many seconds ago, and clips that are a day old.

    Gradio writes an upload right into `folder`, and moves it into a folder of its own there once
    it is whole.
    """
    now = time.time()
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if CLIP_FOLDER.fullmatch(entry.name):
                _clean_clips(Path(entry.path), now - CLIPS_KEPT_SECONDS)
            elif not entry.is_dir(follow_symlinks=False):
                _delete_if_older(Path(entry.path), now - broken_off)


def _clean_clips(folder: Path, before: float) -> None:
    with suppress(OSError):  # gone meanwhile, or not empty
        for file in folder.iterdir():
            _delete_if_older(file, before)
        folder.rmdir()


def _delete_if_older(file: Path, before: float) -> None:
    """Deletes it if it was last written, or handed out again, before that time."""
    with suppress(OSError):  # gone meanwhile
        known = file.lstat()
        if not file.is_dir() and max(known.st_mtime, known.st_ctime) < before:
            file.unlink()
