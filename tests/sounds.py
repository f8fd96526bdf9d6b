"""Makes sound files of every kind in memory: a tone, by soundfile, PyAV or by hand."""

import io
import struct
from typing import Any, BinaryIO

import av
import numpy as np
import soundfile
from av.stream import Disposition

RATE = 16_000
TONE_HZ = 440


def tone(seconds: float = 2.0, rate: int = RATE, hz: float = TONE_HZ) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def by_soundfile(
    kind: str,
    subtype: str | None = None,
    samples: np.ndarray | None = None,
    rate: int = RATE,
    channels: int = 1,
) -> bytes:
    samples = tone(rate=rate) if samples is None else samples
    file = io.BytesIO()
    soundfile.write(file, np.tile(samples[:, None], (1, channels)), rate, subtype, format=kind)
    return file.getvalue()


def wav(samples: np.ndarray | None = None, subtype: str = "FLOAT", rate: int = RATE) -> bytes:
    """A wav file; of floats, two made in different seconds differ: libsndfile's head tells when."""
    return by_soundfile("WAV", subtype, samples, rate)


def by_av(
    kind: str,
    codec: str,
    rate: int = 44_100,
    layout: str = "stereo",
    samples: np.ndarray | None = None,
    bit_rate: int | None = None,
    video: bool = False,
    options: dict[str, str] | None = None,
) -> bytes:
    """A container of `kind` with one sound track, and a video beside it if wanted."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=options or {}) as container:
        sound: Any = container.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            sound.bit_rate = bit_rate
        if video:
            add_video(container)
        samples = tone(rate=rate) if samples is None else samples
        packed = np.repeat(samples, av.AudioLayout(layout).nb_channels)[None]
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate = rate
        fitting = av.AudioResampler(
            sound.format.name, layout, rate, frame_size=sound.frame_size or 1024
        )
        for piece in [*fitting.resample(frame), *fitting.resample(None), None]:
            container.mux(sound.encode(piece))
    return file.getvalue()


def video_only(kind: str = "mp4") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        add_video(container)
    return file.getvalue()


def cover_only() -> bytes:
    """An m4a with a cover picture and no sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = Disposition.attached_pic
        picture = np.zeros((64, 64, 3), np.uint8)
        for frame in (av.VideoFrame.from_ndarray(picture, format="rgb24"), None):
            container.mux(cover.encode(frame))
    return file.getvalue()


def wav_header(data_bytes: int, rate: int = 8_000) -> bytes:
    """The 44 bytes before `data_bytes` of 8-bit samples, whether these come or not; -1: no end."""
    chunk = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    sizes = [struct.pack("<I", size & 0xFFFF_FFFF) for size in (data_bytes + 36, data_bytes)]
    return b"RIFF" + sizes[0] + b"WAVEfmt " + chunk + b"data" + sizes[1]


def write_long_wav(file: BinaryIO, seconds: int, rate: int = 8_000) -> None:
    """Seconds of 8-bit sound that take no room on disk (a sparse file)."""
    file.write(wav_header(seconds * rate, rate))
    file.truncate(44 + seconds * rate)


def add_video(container: Any, frames: int = 10) -> None:
    video = container.add_stream("mpeg4", rate=5)
    video.width = video.height = 64
    video.pix_fmt = "yuv420p"
    for number in range(frames):
        picture = np.full((64, 64, 3), 20 * number, np.uint8)
        container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(video.encode(None))
