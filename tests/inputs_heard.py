"""The inputs that are heard: what people have, and what gets a warning."""

import base64
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import quote

import numpy as np

from tests.input_parts import LIVE, Input, half
from tests.sounds import by_av, by_soundfile, tone, wav, wav_header


def _file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return make


def _data_url(content: bytes) -> str:
    return "data:audio/wav;base64," + base64.b64encode(content).decode()


def _holed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(400) + content[middle + 400 :]


def _unsaid(flac: bytes) -> bytes:
    """As of a program that writes into a pipe: the number of samples stays 0."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


WAV_SUBTYPES = (
    "PCM_U8",
    "PCM_16",
    "PCM_24",
    "PCM_32",
    "FLOAT",
    "DOUBLE",
    "ULAW",
    "ALAW",
    "IMA_ADPCM",
)
LONG_NAME = "a" * 240 + "\u202egpj.wav"


@cache
def ordinary() -> list[Input]:
    """What people have."""
    return [*_wavs(), *_other_sounds(), *_videos_and_rarer(), *_ways_to_send()]


def _wavs() -> list[Input]:
    return [
        *(
            Input(f"wav, {subtype}", by_soundfile("WAV", subtype), "heard", "a.wav")
            for subtype in WAV_SUBTYPES
        ),
        Input("wav, extensible, 6 channels", by_soundfile("WAVEX", channels=6), "heard", "a.wav"),
        Input("wav, 64 channels", by_soundfile("WAV", channels=64), "heard", "a.wav"),
        Input("wav, RF64", by_soundfile("RF64"), "heard", "a.wav"),
        *(
            Input(f"wav at {rate} Hz, stereo", by_soundfile("WAV", None, None, rate, 2), "heard")
            for rate in (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000)
        ),
        Input("wav of a recorder that streams", wav_header(-1) + bytes(range(256)) * 20, "heard"),
    ]


def _other_sounds() -> list[Input]:
    return [
        Input("aiff", by_soundfile("AIFF"), "heard", "a.aiff"),
        Input("au", by_soundfile("AU"), "heard", "a.au"),
        Input("caf", by_soundfile("CAF"), "heard", "a.caf"),
        Input("flac", by_soundfile("FLAC"), "heard", "a.flac"),
        Input("flac whose head has no length", _unsaid(by_soundfile("FLAC")), "heard", "a.flac"),
        Input("flac, 24 bits, 48 kHz, stereo", by_av("flac", "flac", 48_000), "heard", "a.flac"),
        Input("ogg, Vorbis", by_soundfile("OGG", "VORBIS"), "heard", "a.ogg"),
        Input("opus", by_soundfile("OGG", "OPUS"), "heard", "a.opus"),
        Input("mp3", by_soundfile("MP3"), "heard", "a.mp3"),
        Input("mp3, 44.1 kHz, stereo, tagged", by_av("mp3", "libmp3lame"), "heard", "a.mp3"),
        Input("m4a (AAC)", by_av("ipod", "aac"), "heard", "a.m4a"),
        Input("m4a (Apple lossless)", by_av("ipod", "alac"), "heard", "a.m4a"),
        Input("aac", by_av("adts", "aac"), "heard", "a.aac"),
        Input("webm (Opus)", by_av("webm", "libopus", 48_000), "heard", "a.webm"),
        Input(
            "webm of a browser's recorder",
            by_av("webm", "libopus", 48_000, options=LIVE),
            "heard",
            "a.webm",
        ),
        Input(
            "amr, narrow band",
            by_av("amr", "libopencore_amrnb", 8_000, "mono", bit_rate=12_200),
            "heard",
            "a.amr",
        ),
        Input(
            "3gp (amr)",
            by_av("3gp", "libopencore_amrnb", 8_000, "mono", bit_rate=12_200),
            "heard",
            "a.3gp",
        ),
        Input("m4a, 7.1 channels", by_av("ipod", "aac", layout="7.1"), "heard", "a.m4a"),
        Input("mkv, 7.1 channels", by_av("matroska", "libopus", 48_000, "7.1"), "heard", "a.mkv"),
    ]


def _videos_and_rarer() -> list[Input]:
    return [
        Input("mp4, sound beside a video", by_av("mp4", "aac", video=True), "heard", "a.mp4"),
        Input("mov, sound beside a video", by_av("mov", "aac", video=True), "heard", "a.mov"),
        Input(
            "mkv, sound beside a video",
            by_av("matroska", "libopus", 48_000, video=True),
            "heard",
            "a.mkv",
        ),
        Input("avi, sound beside a video", by_av("avi", "mp3", video=True), "heard", "a.avi"),
        Input("mpeg-ts", by_av("mpegts", "aac"), "heard", "a.ts"),
        Input("flv", by_av("flv", "aac"), "heard", "a.flv"),
        Input("wma", by_av("asf", "wmav2", bit_rate=128_000), "heard", "a.wma"),
        Input("ac3", by_av("ac3", "ac3"), "heard", "a.ac3"),
    ]


def _ways_to_send() -> list[Input]:
    return [
        Input("a file by its path", _file("a.wav", wav()), "heard"),
        Input("a wav with a wrong ending", _file("a.raw", wav()), "heard"),
        Input("an m4a named .wav", _file("a.wav", by_av("ipod", "aac")), "heard"),
        Input("a name of two lines", _file("two\nlines.wav", wav()), "heard"),
        Input("a name of 250 characters that turns itself around", wav(), "heard", LONG_NAME),
        Input("data: URL", _data_url(wav()), "heard"),
        Input("data: URL in percent signs", "data:audio/wav," + quote(wav()), "heard"),
        Input("0.3 s", wav(tone(0.3)), "heard"),
    ]


@cache
def odd() -> list[Input]:
    """What is heard with a warning."""
    return [
        Input("wav that breaks off", half(wav(subtype="PCM_16")), "cut_off", "a.wav"),
        Input("aiff that breaks off", half(by_soundfile("AIFF")), "cut_off", "a.aiff"),
        Input("flac that breaks off", half(by_soundfile("FLAC")), "cut_off", "a.flac"),
        Input("flac with a hole", _holed(by_soundfile("FLAC")), "cut_off", "a.flac"),
        Input("mp3 that breaks off", half(by_soundfile("MP3")), "cut_off", "a.mp3"),
        Input("mp3 with a hole", _holed(by_soundfile("MP3")), "cut_off", "a.mp3"),
        Input("aac with a hole", _holed(by_av("adts", "aac")), "damaged", "a.aac"),
        Input(
            "ogg that breaks off",
            half(by_soundfile("OGG", "VORBIS", tone(20) + np.float32(0.01))),
            "heard",
            "a.ogg",
        ),
        Input("40 ms of sound", wav(tone(0.04)), "padded", "a.wav"),
        Input("3 s of digital silence", wav(0 * tone(3)), "silence", "a.wav"),
        Input("float wav on the scale of 16 bits", wav(32768 * tone()), "out_of_range", "a.wav"),
    ]
