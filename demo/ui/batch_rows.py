"""What a visitor sent -> the rows of a batch; whether a file is theirs was asked at the edge.

Gradio keeps an upload under its base name, so a manifest's clips are found by theirs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from gradio_client.utils import strip_invalid_filename_characters

from demo.addresses import is_data_url, is_outside, is_url
from demo.batch.manifest import is_manifest, read
from demo.batch.rows import Row, checked, require_few
from demo.batch.rules import BatchError
from demo.turns import short

MOST_ROWS = 10_000


def rows_of(paths: Iterable[str], prompt: str) -> list[Row]:
    """A row for each upload; with a manifest among them, its rows, the others being its clips.

    Raises:
        BatchError: there is nothing to do, or a manifest is no manifest.
    """
    paths = list(dict.fromkeys(paths))
    manifests = [path for path in paths if is_manifest(path)]
    clips = [path for path in paths if path not in manifests]
    if manifests:
        find = partial(_found, clips)
        rows = [row for path in manifests for row in read(Path(path), prompt, find, MOST_ROWS)]
    else:
        rows = [Row(path, prompt) for path in clips]
    if not rows:
        raise BatchError("nothing")
    require_few(rows, MOST_ROWS)
    return rows


def rows_asked(given: object, prompt: str) -> list[Row]:
    """The same of what a program sent: uploads, addresses, and objects with an `audio`.

    Raises:
        BatchError: what is wrong.
    """
    if not isinstance(given, list):
        raise BatchError("nothing")
    require_few(given, MOST_ROWS)
    uploads = [one["path"] for one in given if _is_upload(one) and not is_url(one["path"])]
    if len(uploads) == len(given) or any(map(is_manifest, uploads)):
        return rows_of(uploads, prompt)
    return [_row(one, prompt) for one in given]


def _found(clips: Sequence[str], named: str) -> str:
    if is_outside(named):
        return named
    name = strip_invalid_filename_characters(PureWindowsPath(named).name)  # it knows both slashes
    same = [clip for clip in clips if Path(clip).name == name]
    if len(same) > 1:
        raise BatchError("twice", name=name, count=len(same))
    if not same:
        raise BatchError("not_uploaded", name=name)
    return same[0]


def _is_upload(one: object) -> bool:
    match one:
        case {"path": str(), "meta": {"_type": "gradio.FileData"}}:
            return True
        case _:
            return False


def _row(one: Any, prompt: str) -> Row:
    match one:
        case str() if is_data_url(one):
            return Row(one, prompt)
        case str() if is_url(one):
            return Row(one, prompt, named=one)
        case {"path": str(path)} if _is_upload(one):
            return _row(path, prompt) if is_url(path) else Row(path, prompt)
        case {"audio": audio}:
            words, gt = one.get("prompt"), one.get("gt")
            if not all(value is None or isinstance(value, str) for value in (words, gt)):
                raise BatchError("item", value=short(one))
            if not isinstance(audio, dict) or _is_upload(audio):
                row = _row(audio, prompt)
                return replace(row, prompt=checked(words or prompt), gt=gt or None)
    raise BatchError("item", value=short(one))
