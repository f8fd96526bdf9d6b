"""Reads what soundfile does not: PyAV, with FFmpeg's libraries inside it.

It knows nothing about resampling and limits: frames go to the `Tape` as they come.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import av.error
import numpy as np

from demo.hearing.rules import AudioError
from demo.hearing.tape import Tape

# What FFmpeg may take a file for: never a playlist or the address of a stream, for which it would
# open other files, URLs or ports.
FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,gsm,matroska,webm,mov,mp4,"
    "m4a,3gp,3g2,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
)
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
GUESSED_LENGTHS = {"aac", "ac3", "eac3", "mp3", "mpeg", "mpegts"}  # FFmpeg guesses by bit rate

# PyAV 18 looks for the end of a frame's planes by a null pointer, and eight or more have none
# behind them: it would read past their end. Such frames are packed into one plane before.
SAFE_PLANES = 7

# How files of a kind begin: (offset, bytes, name), to tell a damaged file from no sound file.
SIGNATURES = (
    (0, b"RIFF", "wav"),
    (0, b"FORM", "aiff"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"\x1a\x45\xdf\xa3", "webm"),
    (0, b"#!AMR", "amr"),
    (4, b"ftyp", "mp4 or m4a"),
)


def read(file: BinaryIO, name: str, tape: Tape) -> None:
    """Plays the best sound track of `file` onto `tape`.

    Raises:
        AudioError: no sound file, or nothing in it can be decoded; no sound track.
    """
    try:
        container: Any = av.open(file, metadata_errors="ignore", options=OPTIONS)
    except (av.error.FFmpegError, ValueError) as error:
        raise _not_audio(file, name) from error
    with container:
        stream = container.streams.best("audio")
        if stream is None:
            raise _no_track(container, file, name)
        tape.promise(_promised(container, stream))
        for frame in _frames(container, stream):
            if frame is None:
                tape.damage()
            else:
                tape.add(_to_float(frame), frame.sample_rate)
    if tape.damaged_at == 0 and not tape.seconds:
        raise _not_audio(file, name)


class _Packer:
    """Frames of at most SAFE_PLANES planes as they are, others as one plane of float32."""

    def __init__(self) -> None:
        self._kind: tuple[str, str, int] | None = None
        self._resampler = av.AudioResampler()

    def pack(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        if not frame.format.is_planar or frame.layout.nb_channels <= SAFE_PLANES:
            return [frame]
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:  # a resampler takes frames of one kind only
            self._kind, self._resampler = kind, av.AudioResampler("flt")
        return self._resampler.resample(frame)


def _to_float(frame: av.AudioFrame) -> np.ndarray:
    """Float32 of shape (samples, channels); integers on the scale of -1 to 1."""
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    block = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if block.dtype.kind == "f":
        with np.errstate(
            all="ignore"
        ):  # what is too large becomes infinite, and the tape refuses it
            return block.astype(np.float32)
    half = 2.0 ** (8 * block.dtype.itemsize - 1)
    middle = half if block.dtype.kind == "u" else 0.0
    return ((block.astype(np.float64) - middle) / half).astype(np.float32)


def _frames(container: Any, stream: Any) -> Iterator[av.AudioFrame | None]:
    """Every frame that can be decoded; None in the place of what cannot."""
    packets = container.demux(stream)
    packer = _Packer()
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, IndexError):  # IndexError: a track that the head did not name
            yield None  # the container itself ends here
            return
        if packet is None:
            return
        try:
            for frame in packet.decode():
                yield from packer.pack(frame)
        except av.error.FFmpegError:
            yield None


def _promised(container: Any, stream: Any) -> float:
    """How long the header says that `stream` is, in seconds; 0 where it does not say."""
    if container.format.name in GUESSED_LENGTHS:
        return 0.0
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    if len(container.streams) > 1:
        return 0.0  # the container is as long as its longest stream, a video perhaps
    return (container.duration or 0) / av.time_base


def _no_track(container: Any, file: BinaryIO, name: str) -> AudioError:
    videos = container.streams.video
    if not videos:  # a head with nothing behind it, or a sound of no channels
        return _not_audio(file, name)
    pictures = [s for s in videos if s.disposition & s.disposition.attached_pic]
    return AudioError("only_a_picture" if pictures else "no_audio_track", name=name)


def _not_audio(file: BinaryIO, name: str) -> AudioError:
    file.seek(0)
    head = file.read(16)
    for offset, mark, kind in SIGNATURES:
        if head[offset : offset + len(mark)] == mark:
            return AudioError("broken", name=name, kind=kind)
    return AudioError("not_audio", name=name)
