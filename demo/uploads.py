"""The folder in which uploads lie: seen to take files at the start, kept from filling up.

A disk that is full is told as a sentence instead of an error of the server's own. What is left of
uploads that broke off, and clips, are deleted here once they are old; not when the app ends, as
Gradio would: another process, or the next, has conversations about them. The oldest make room where
all are too much. This module knows no page and no sound.
"""

import errno
import logging
import os
import re
import stat
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from gradio.route_utils import API_PREFIX
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.faults import answer_in
from demo.messages import Message, Sentences, UserError

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
    "nameless": (
        "The file has no name: it could not be uploaded. Please give it one, such as clip.wav.",
        "文件没有名称，未能上传。请为它命名，例如 clip.wav。",
    ),
    "folder": (
        "Uploads cannot be kept in {folder}: {reason}. Name another folder by GRADIO_TEMP_DIR.",
        "无法在 {folder} 中保存上传的文件：{reason}。请用 GRADIO_TEMP_DIR 指定其他目录。",
    ),
}
UPLOAD = f"{API_PREFIX}/upload"  # of Gradio's routes
UNUSED = re.compile(  # of Gradio's routes
    rf"{API_PREFIX}/process_recording/?$"  # keeps what is sent to it, for ever and uncounted
    rf"|{API_PREFIX}/deep_link/?$"  # what was sent to the page
    r"|/custom_component/",  # prints what it is asked for
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT)
BAD_REQUEST, NOT_FOUND, INSUFFICIENT_STORAGE = 400, 404, 507
BROKEN_OFF_SECONDS = 600  # without a byte more
CLIP_FOLDER = re.compile("[0-9a-f]{64}")  # Gradio's name for the folder of one clip
CLIPS_KEPT_SECONDS = 24 * 3600
MARK = ".of-"  # beside a clip, an empty file for each of its owners; see `demo.owners`
MARK_NAME = re.compile(re.escape(MARK) + "[0-9a-f]{32}")

log = logging.getLogger(__name__)


class FolderError(UserError):
    """No file can be written where uploads are to lie."""

    sentences: ClassVar[Sentences] = SENTENCES


def take_own_folder() -> None:
    """Lets Gradio keep uploads apart from other programs', as what is old there is deleted."""
    owner = os.getuid() if hasattr(os, "getuid") else "own"
    folder = Path(tempfile.gettempdir()) / f"qwen2-audio-{owner}"
    if os.environ.setdefault("GRADIO_TEMP_DIR", str(folder)) == str(folder):
        _close_to_others(folder)


def _close_to_others(folder: Path) -> None:
    """Makes it, if need be, for this user only: in it lie people's voices."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
            raise FolderError("folder", folder=folder, reason="another user's")
        folder.chmod(0o700)
    except OSError as error:
        raise FolderError("folder", folder=folder, reason=error.strerror) from None


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
        if scope["type"] == "http" and UNUSED.search(scope["path"]):
            await PlainTextResponse("not here\n", NOT_FOUND)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except (OSError, TypeError) as error:
            upload = scope["type"] == "http" and scope["path"].endswith(UPLOAD)
            key, status = _told(error)
            if not upload or not key:
                raise
            traceback.clear_frames(error.__traceback__)  # they keep what was written of the upload
            log.warning("an upload could not be kept: %s", getattr(error, "strerror", key))
            answer = answer_in(Message(SENTENCES, key), status, scope, self._language)
            await answer(scope, receive, send)


def _told(error: OSError | TypeError) -> tuple[str, int]:
    """The key of its sentence and the status of the answer; "" where there is none."""
    match error:
        case TypeError():  # Gradio's, for a part of the form that has no file's name
            return "nameless", BAD_REQUEST
        case OSError(errno=number) if number in FULL:
            return "full", INSUFFICIENT_STORAGE
        case OSError(errno=number) if number in REFUSED:
            return "refused", INSUFFICIENT_STORAGE
    return "", 0


def clean(folder: Path, now: float, broken_off: float = BROKEN_OFF_SECONDS) -> None:
    """Deletes uploads that broke off so many seconds before `now`, and clips that are a day old.

    Gradio writes an upload right into `folder`, and moves it into a folder of its own there once
    it is whole.
    """
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if CLIP_FOLDER.fullmatch(entry.name):
                _clean_clips(Path(entry.path), now - CLIPS_KEPT_SECONDS, now - broken_off)
            elif not entry.is_dir(follow_symlinks=False):
                _delete_if_older(Path(entry.path), now - broken_off)


def _clean_clips(folder: Path, before: float, broken_off: float) -> None:
    with suppress(OSError):  # gone meanwhile
        clips = _clips(folder)
        if not clips and folder.lstat().st_mtime >= broken_off:
            return  # a clip is about to be moved into it
        for file in clips:
            _delete_if_older(file, before)
        _remove_without_clips(folder)


def _clips(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if not is_mark(file)]


def is_mark(file: Path) -> bool:
    """Whether it says whose a clip is; an upload may have such a name, but is not empty."""
    return bool(MARK_NAME.fullmatch(file.name)) and not file.lstat().st_size


def _remove_without_clips(folder: Path) -> None:
    """Deletes the folder of one content, where only its owners' marks are left in it."""
    with suppress(OSError):  # gone, or filled again meanwhile
        left = list(folder.iterdir())
        if all(map(is_mark, left)):
            for mark in left:
                mark.unlink()
            folder.rmdir()


def _delete_if_older(file: Path, before: float) -> None:
    with suppress(OSError):  # gone meanwhile
        if not file.is_dir() and _last_used(file.lstat()) < before:
            file.unlink()


def _last_used(known: os.stat_result) -> float:
    """When a file was written, or handed out again."""
    return max(known.st_mtime, known.st_ctime)


def shrink(folder: Path, most_bytes: float) -> None:
    """Deletes the oldest of the clips where all of them are more than `most_bytes`."""
    clips: list[tuple[float, int, Path]] = []
    for file in folder.glob("*/*"):
        with suppress(OSError):  # gone meanwhile
            known = file.lstat()
            clip = CLIP_FOLDER.fullmatch(file.parent.name) and not is_mark(file)
            if clip and stat.S_ISREG(known.st_mode):
                clips.append((_last_used(known), known.st_size, file))
    total = sum(size for _, size, _ in clips)
    for _, size, file in sorted(clips):
        if total <= most_bytes:
            return
        with suppress(OSError):  # gone meanwhile
            file.unlink()
            total -= size
        _remove_without_clips(file.parent)
