"""What the app hears: any file, URL or bytes becomes a `Clip`.

The audio room's front. Behind it in `demo.hearing`, `decode` makes samples of a file, `fetch`
brings what lies at a URL, `windows` cuts what is longer than the model hears at once, and `rules`
has the limits and the sentences. It knows neither conversations nor models.
"""

import base64
import binascii
import io
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from threading import Event, Lock
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

import numpy as np

from demo.addresses import is_data_url, is_url
from demo.hearing.decode import MIN_SECONDS, Sound
from demo.hearing.fetch import fetch, name_of_url
from demo.hearing.rules import MEGABYTE, SENTENCES, UNNAMED, AudioError, Limits, clock, shown_name
from demo.hearing.sandbox import Sandbox, decode_source
from demo.hearing.windows import SAMPLE_RATE, WINDOW_SECONDS, split
from demo.messages import Message

__all__ = [
    "MIN_SECONDS",
    "SAMPLE_RATE",
    "SENTENCES",
    "WINDOW_SECONDS",
    "AudioError",
    "Clip",
    "Ear",
    "Limits",
    "Sandbox",
    "describe",
]

CACHE_MB = 256.0  # some 70 minutes of clips


@dataclass(frozen=True, eq=False)
class Clip:
    """A sound as the model hears it."""

    samples: np.ndarray  # mono float32 at SAMPLE_RATE, read-only, shape (n,)
    name: str  # as the person who sent it knows it
    key: str  # hash of the samples, hex: equal for equal sounds
    warnings: tuple[Message, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def windows(self) -> list[np.ndarray]:
        """The sound in parts of at most 30 s, cut where it is quiet; nothing is lost."""
        return split(self.samples)


def describe(clip: Clip) -> Message:
    """How long a clip is, and as how many parts it is heard: for the page."""
    parts = len(clip.windows())
    if parts == 1:
        return Message(SENTENCES, "heard_whole", length=clock(clip.seconds))
    return Message(SENTENCES, "heard_parts", length=clock(clip.seconds), parts=parts)


class Ear:
    """Hears files, URLs and bytes; each content is decoded once while it is in the cache.

    May be used from many threads. `cache_mb` bounds the samples kept. With a `sandbox` no file
    is decoded in this process.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        cache_mb: float = CACHE_MB,
        sandbox: Sandbox | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._sandbox = sandbox
        self._cache = _Cache(int(cache_mb * MEGABYTE))

    def hear(
        self,
        source: str | Path | bytes,
        name: str | None = None,
        stop: Event | None = None,
        user: str = "",
    ) -> Clip:
        """The clip at a path, an http(s) or data: URL, or in bytes.

        `name` is what the person calls it, where the source does not say. Once `stop` is set it
        ends early, with any error; users take turns where files are decoded elsewhere.

        Raises:
            AudioError: with a sentence for the person who sent it.
        """
        shown = shown_name(name or _own_name(source))
        with _opened(source, shown, self.limits, stop) as file:
            content = _digest(file)
            heard = self._cache.get(content)
            if heard is None:
                sound = self._decoded(_whole(source, file), shown, user, stop)
                sound.samples.setflags(write=False)
                heard = _Heard(sound, blake2b(sound.samples.data, digest_size=16).hexdigest())
                self._cache.put(content, heard)
        notes = heard.sound.notes
        warnings = tuple(Message(SENTENCES, n.key, name=shown, **n.values) for n in notes)
        return Clip(heard.sound.samples, shown, heard.key, warnings)

    def _decoded(self, source: Path | bytes, name: str, user: str, stop: Event | None) -> Sound:
        if self._sandbox:
            return self._sandbox.decode(source, name, self.limits, user, stop)
        return decode_source(source, name, self.limits)


@dataclass(frozen=True)
class _Heard:
    sound: Sound
    key: str


class _Cache:
    """The sounds heard last, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._heard: OrderedDict[bytes, _Heard] = OrderedDict()
        self._lock = Lock()

    def get(self, content: bytes) -> _Heard | None:
        with self._lock:
            if content in self._heard:
                self._heard.move_to_end(content)
            return self._heard.get(content)

    def put(self, content: bytes, heard: _Heard) -> None:
        with self._lock:
            if content in self._heard:  # another thread was faster
                return
            self._heard[content] = heard
            self._bytes += heard.sound.samples.nbytes
            while self._bytes > self._max_bytes:
                _, oldest = self._heard.popitem(last=False)
                self._bytes -= oldest.sound.samples.nbytes


def _whole(source: str | Path | bytes, file: BinaryIO) -> Path | bytes:
    """What can be handed to another process: a path where it is one, else all bytes."""
    match source:
        case bytes():
            return source
        case str() if is_data_url(source) or is_url(source):
            file.seek(0)
            return file.read()
        case _:
            return Path(source)


def _digest(file: BinaryIO) -> bytes:
    digest = sha256()
    while piece := file.read(MEGABYTE):
        digest.update(piece)
    return digest.digest()


def _own_name(source: str | Path | bytes) -> str:
    match source:
        case bytes():
            return UNNAMED
        case str() if is_data_url(source):
            return UNNAMED
        case str() if is_url(source):
            return name_of_url(source)
        case _:
            return str(source)


@contextmanager
def _opened(
    source: str | Path | bytes, name: str, limits: Limits, stop: Event | None
) -> Iterator[BinaryIO]:
    """`source` as an open file of at least one byte and at most the limit."""
    match source:
        case bytes():
            file = io.BytesIO(source)
        case str() if is_data_url(source):
            file = io.BytesIO(_from_data_url(source, name, limits))
        case str() if is_url(source):
            file = fetch(source, name, limits, stop)
        case _:
            file = _open_path(Path(source), name)
    with file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size == 0:
            raise AudioError("empty_file", name=name)
        _refuse_size(size, name, limits)
        yield file


def _refuse_size(size: int, name: str, limits: Limits) -> None:
    if size > limits.max_bytes:
        megabytes, limit = size / MEGABYTE, limits.max_file_mb
        raise AudioError("too_large", name=name, megabytes=megabytes, limit=limit)


def _open_path(path: Path, name: str) -> BinaryIO:
    try:
        # By descriptor, for a pipe must not block.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as error:
        raise AudioError("missing", name=name) from error
    except IsADirectoryError as error:  # Windows says PermissionError
        raise AudioError("not_a_file", name=name) from error
    except PermissionError as error:
        raise AudioError("not_permitted", name=name) from error
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or str(error)  # the system's words, no path
        raise AudioError("unreadable", name=name, reason=reason) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise AudioError("not_a_file", name=name)
    return os.fdopen(descriptor, "rb")


def _from_data_url(url: str, name: str, limits: Limits) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise AudioError("bad_data_url")
    if not head.endswith(";base64"):
        _refuse_size(len(body), name, limits)
        return unquote_to_bytes(body)
    _refuse_size(len(body) * 3 // 4, name, limits)
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AudioError("bad_data_url") from error
