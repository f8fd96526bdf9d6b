"""The inputs that are tried against the audio room, and what each one must get.

`python -m tests.inputs` tries them all and prints the table; `tests/test_audio.py` and
`tests/test_fetch.py` fail where one gets something else.
"""

import base64
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from demo.audio import AudioError, Clip, Ear, Limits, describe
from tests.sounds import (
    by_av,
    by_soundfile,
    cover_only,
    tone,
    video_only,
    wav,
    wav_header,
    write_long_wav,
)
from tests.web import serving

Source = str | Path | bytes
OPEN = Limits(max_file_mb=2, allow_private_urls=True, download_seconds=0.5, stall_seconds=0.3)


@dataclass(frozen=True)
class Input:
    """Something to hear: bytes, or what makes a path of a folder or a URL of a server."""

    title: str
    source: Source | Callable[[Any], Source]
    gets: str  # "heard", or the key of the error or of the only warning
    name: str | None = None
    limits: Limits = Limits()

    def hear(self, place: Path | str) -> Clip:
        source = self.source(place) if callable(self.source) else self.source
        return Ear(self.limits).hear(source, self.name)


def _file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return make


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


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _noise(size: int) -> bytes:
    return np.random.default_rng(0).bytes(size)


def _data_url(content: bytes) -> str:
    return "data:audio/wav;base64," + base64.b64encode(content).decode()


def _holed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(400) + content[middle + 400 :]


def _with(samples: np.ndarray, at: int, value: float) -> np.ndarray:
    changed = samples.copy()
    changed[at] = value
    return changed


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
SDP = (  # FFmpeg would open the port and wait for a call
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
)
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"
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
LIVE = {"live": "1"}  # as a browser's recorder writes it: no length in the header
LONG_NAME = "a" * 240 + "\u202egpj.wav"


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


def odd() -> list[Input]:
    """What is heard with a warning."""
    return [
        Input("wav that breaks off", _half(wav(subtype="PCM_16")), "cut_off", "a.wav"),
        Input("aiff that breaks off", _half(by_soundfile("AIFF")), "cut_off", "a.aiff"),
        Input("flac that breaks off", _half(by_soundfile("FLAC")), "cut_off", "a.flac"),
        Input("flac with a hole", _holed(by_soundfile("FLAC")), "cut_off", "a.flac"),
        Input("mp3 that breaks off", _half(by_soundfile("MP3")), "cut_off", "a.mp3"),
        Input("mp3 with a hole", _holed(by_soundfile("MP3")), "cut_off", "a.mp3"),
        Input("aac with a hole", _holed(by_av("adts", "aac")), "damaged", "a.aac"),
        Input(
            "ogg that breaks off",
            _half(by_soundfile("OGG", "VORBIS", tone(20) + np.float32(0.01))),
            "heard",
            "a.ogg",
        ),
        Input("40 ms of sound", wav(tone(0.04)), "padded", "a.wav"),
        Input("3 s of digital silence", wav(0 * tone(3)), "silence", "a.wav"),
        Input("float wav on the scale of 16 bits", wav(32768 * tone()), "out_of_range", "a.wav"),
    ]


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
            "m4a that breaks off before its index", _half(by_av("ipod", "aac")), "broken", "a.m4a"
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


def _page(path: str) -> Callable[[str], str]:
    return lambda server: server + path


def urls() -> list[Input]:
    """What lies at a URL; the place is a server's address."""
    return [*_good_and_bad_pages(), *_wrong_urls(), *_private_urls()]


def _good_and_bad_pages() -> list[Input]:
    return [
        Input("a URL", _page("/tone.wav"), "heard", limits=OPEN),
        Input("a URL that moved", _page("/moved?/tone.wav"), "heard", limits=OPEN),
        Input("a URL that moved in a circle", _page("/circle"), "url_redirects", limits=OPEN),
        Input("a URL that is not there", _page("/gone.wav"), "url_status", limits=OPEN),
        Input("a server's own error", _page("/broken.wav"), "url_status", limits=OPEN),
        Input("a web page's URL", _page("/page.wav"), "url_html", limits=OPEN),
        Input("a URL with no bytes", _page("/nothing.wav"), "empty_file", limits=OPEN),
        Input("a URL that never ends", _page("/endless.wav"), "url_too_large", limits=OPEN),
        Input("a URL of 1 TB", _page("/large.wav"), "too_large", limits=OPEN),
        Input("a URL that drips", _page("/dripping.wav"), "url_slow", limits=OPEN),
        Input("a URL whose head drips", _page("/dripping_head.wav"), "url_slow", limits=OPEN),
        Input("a URL that stalls", _page("/stalled.wav"), "url_stalled", limits=OPEN),
        Input("a URL that breaks off", _page("/cut.wav"), "url_broke_off", limits=OPEN),
        Input("a gzip bomb", _page("/bomb.wav"), "url_too_large", limits=OPEN),
        Input("a URL packed with brotli", _page("/brotli.wav"), "url_encoding", limits=OPEN),
        Input("no web server", _page("/noise.wav"), "url_no_answer", limits=OPEN),
    ]


def _wrong_urls() -> list[Input]:
    return [
        Input(
            "a URL that moved to a file",
            _page("/moved?file:///etc/passwd"),
            "url_scheme",
            limits=OPEN,
        ),
        Input(
            "a URL that moved to ftp", _page("/moved?ftp://host/a.wav"), "url_scheme", limits=OPEN
        ),
        Input(
            "a port where nobody listens",
            "http://127.0.0.1:1/a.wav",
            "url_unreachable",
            limits=OPEN,
        ),
        Input("a name that is not there", "http://nowhere.invalid/a.wav", "url_unreachable"),
        Input("file:", "file:///etc/passwd", "url_scheme"),
        Input("ftp:", "ftp://host/a.wav", "url_scheme"),
        Input("a URL without a host", "http:///a.wav", "url_wrong"),
        Input("a URL with a wrong port", "http://host:wrong/a.wav", "url_wrong"),
    ]


PRIVATE_HOSTS = {
    "localhost": "localhost",
    "loopback in IPv6": "[::1]",
    "loopback as one number": "2130706433",
    "loopback in hexadecimal": "0x7f.1",
    "0.0.0.0": "0.0.0.0",
    "10.0.0.1": "10.0.0.1",
    "172.16.0.1": "172.16.0.1",
    "192.168.0.1": "192.168.0.1",
    "a provider's inner range": "100.64.0.1",
    "a cloud's metadata": "169.254.169.254",
    "link-local in IPv6": "[fe80::1]",
    "unique local in IPv6": "[fd00::1]",
    "multicast": "224.0.0.1",
    "IPv4 in IPv6": "[::ffff:10.0.0.1]",
    "IPv4 behind NAT64": "[64:ff9b::7f00:1]",
    "IPv4 in 6to4": "[2002:7f00:1::]",
}


def _private_urls() -> list[Input]:
    by_number = [
        Input(title, f"http://{host}/a.wav", "url_private") for title, host in PRIVATE_HOSTS.items()
    ]
    return [Input("this server", _page("/tone.wav"), "url_private"), *by_number]


def outcome(trial: Input, place: Path | str) -> tuple[str, str]:
    """What `trial` gets: a key as in `Input.gets`, and the sentence that a person reads."""
    try:
        clip = trial.hear(place)
    except AudioError as error:
        return error.key, str(error)
    keys = [warning.key for warning in clip.warnings]
    return " ".join(keys) or "heard", "; ".join(map(str, [describe(clip), *clip.warnings]))


def main() -> None:
    print("| input | gets | says |\n|---|---|---|")
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        trials = [(t, Path(folder)) for t in [*ordinary(), *odd(), *refused()]]
        for trial, place in [*trials, *((t, server) for t in urls())]:
            key, sentence = outcome(trial, place)
            wrong = "" if key == trial.gets else f" (not {trial.gets})"
            print(f"| {trial.title} | {key}{wrong} | {sentence.replace(folder, '')} |")


if __name__ == "__main__":
    main()
