"""The inputs that get an error: no sound, not fit, not there."""

import os
from functools import cache
from pathlib import Path

import numpy as np

from demo.audio import Limits
from tests.input_parts import LIVE, OPEN, Input, half
from tests.sounds import by_av, cover_only, tone, video_only, wav, wav_header, write_long_wav


def _pipe(folder: Path) -> Path:
    path = folder / "pipe.wav"
    os.mkfifo(path)
    return path


def _long(folder: Path) -> Path:
    path = folder / "two hours.wav"
    with path.open("wb") as file:
        write_long_wav(file, seconds=7200)
    return path


def _large(folder: Path) -> Path:
    path = folder / "large.wav"
    with path.open("wb") as file:
        file.truncate(101_000_000)
    return path


def _noise(size: int) -> bytes:
    return np.random.default_rng(0).bytes(size)


def _with(samples: np.ndarray, at: int, value: float) -> np.ndarray:
    changed = samples.copy()
    changed[at] = value
    return changed


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
SDP = (  # FFmpeg would open the port and wait for a call
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
)
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"


@cache
def refused() -> list[Input]:
    """What gets an error."""
    return [*_no_sound(), *_not_fit(), *_not_there()]


def _no_sound() -> list[Input]:
    return [
        Input("no bytes", b"", "empty_file", "a.wav"),
        Input("a wav with no samples", wav(tone(0)), "no_samples", "a.wav"),
        Input("a text file", b"Dear reader, this is no sound.\n" * 40, "not_audio", "a.wav"),
        Input(
            "a web page", b"<!DOCTYPE html><html><body>hi</body></html>" * 9, "not_audio", "a.mp3"
        ),
        Input("a program", b"\x7fELF\x02\x01\x01" + _noise(5_000), "not_audio", "a.wav"),
        Input("noise", _noise(50_000), "not_audio", "a.mp3"),
        Input("a playlist that names a file of the server", HLS, "not_audio", "a.m3u8"),
        Input("the address of a call", SDP, "not_audio", "a.sdp"),
        Input("a list that joins files of the server", CONCAT, "not_audio", "a.wav"),
        Input("wav's first 4 bytes", b"RIFF", "broken", "a.wav"),
        Input(
            "m4a that breaks off before its index", half(by_av("ipod", "aac")), "broken", "a.m4a"
        ),
        Input("mp4 without sound", video_only(), "no_audio_track", "a.mp4"),
        Input("mkv without sound", video_only("matroska"), "no_audio_track", "a.mkv"),
        Input("m4a with a cover and no sound", cover_only(), "only_a_picture", "a.m4a"),
        Input("40 ms of silence", wav(0 * tone(0.04)), "nothing_heard", "a.wav"),
    ]


def _not_fit() -> list[Input]:
    return [
        Input("NaN", wav(_with(tone(), 8000, np.nan)), "no_sound", "a.wav"),
        Input("infinity", wav(_with(tone(), 8000, np.inf)), "no_sound", "a.wav"),
        Input("samples of 3e38", wav(tone() * np.float32(1e38)), "no_sound", "a.wav"),
        Input("rate 0", wav_header(8000, rate=0) + bytes(8000), "broken", "a.wav"),
        Input("rate 10 MHz", wav_header(8000, rate=10_000_000) + bytes(8000), "bad_rate", "a.wav"),
        Input("rate 100 Hz", wav_header(8000, rate=100) + bytes(8000), "bad_rate", "a.wav"),
        Input("two hours", _long, "too_long"),
        Input(
            "longer than its header says",
            by_av("webm", "libopus", 48_000, samples=tone(5, 48_000), options=LIVE),
            "longer_than_limit",
            "a.webm",
            Limits(max_minutes=0.02),
        ),
        Input("101 MB", _large, "too_large"),
        Input(
            "a data: URL of 3 MB",
            "data:audio/wav;base64," + "A" * 4_000_000,
            "too_large",
            "a",
            OPEN,
        ),
    ]


def _not_there() -> list[Input]:
    return [
        Input("a data: URL that is not base64", "data:audio/wav;base64,!!!", "bad_data_url"),
        Input("a data: URL without content", "data:audio/wav", "bad_data_url"),
        Input("a file that vanished", lambda folder: folder / "gone.wav", "missing"),
        Input("a folder", lambda folder: folder, "not_a_file"),
        Input("a pipe", _pipe, "not_a_file"),
        Input("a device", "/dev/zero", "not_a_file"),
        Input("a path with a null character", "a\0b.wav", "unreadable"),
    ]
