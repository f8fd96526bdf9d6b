"""The inputs that somebody made to do harm: none is what it seems, each is heard or refused."""

import gzip
from functools import cache

import numpy as np

from tests import traps
from tests.input_parts import Input
from tests.sounds import by_av, by_soundfile, wav
from tests.traps import HOUR, in_mp4, riff, said_as, silent_flac


@cache
def hostile() -> list[Input]:
    """What is not what it seems."""
    return [*_long(), *_in_a_wav(), *_in_another(), *_programs(), *_false_heads(), *_only_heads()]


def _long() -> list[Input]:
    whole, unsaid = silent_flac(20 * HOUR, 20 * HOUR), silent_flac(20 * HOUR, 0)
    return [
        Input("20 hours in 140 kB", whole, "too_long", "a.flac"),
        Input("20 hours that no head tells", unsaid, "longer_than_limit", "a.flac"),
        Input("20 hours that only the head has", silent_flac(8, 20 * HOUR), "too_long", "a.flac"),
        Input("a flac of a head alone", silent_flac(0, 20), "no_samples", "a.flac"),
        Input("11 hours at 1 Hz", riff(1, bytes(80_000), rate=1), "too_long", "a.wav"),
        Input("au of 18 hours in its head", _au_of(0x7FFF_FFF0), "too_long", "a.au"),
    ]


def _au_of(data_bytes: int) -> bytes:
    au = by_soundfile("AU")
    return au[:8] + data_bytes.to_bytes(4, "big") + au[12:]


def _in_a_wav() -> list[Input]:
    inner, flac = wav(subtype="PCM_16"), by_soundfile("FLAC")
    ogg, mp3 = by_soundfile("OGG", "VORBIS"), by_soundfile("MP3")
    return [
        Input("mp3 in a wav", riff(0x55, mp3), "heard", "a.wav"),
        Input("aac in a wav", riff(0xFF, by_av("adts", "aac")), "heard", "a.wav"),
        Input("flac in a wav", riff(0xF1AC, flac), "heard", "a.wav"),
        Input("ogg in a wav", riff(0x674F, ogg), "broken", "a.wav"),
        Input("a wav in a wav", riff(1, inner), "heard", "a.wav"),
        Input("a zip behind a wav", inner + traps.zipped(inner), "heard", "a.wav"),
        Input("a wav behind an mp3", mp3 + inner, "heard", "a.mp3"),
        Input("a wav whose format nobody knows", riff(0x4242, bytes(8000)), "broken", "a.wav"),
    ]


def _in_another() -> list[Input]:
    inner, m4a = wav(subtype="PCM_16"), by_av("ipod", "aac")
    id3 = b"ID3\x04\0\0\0\0\x0f\x7f"  # a tag of 2047 bytes
    return [
        Input("a wav attached to an mkv", traps.attached(inner), "no_audio_track", "a.mkv"),
        Input("ogg in an mp4", in_mp4(by_soundfile("OGG", "VORBIS")), "broken", "a.m4a"),
        Input("a wav in an mp4", in_mp4(inner), "broken", "a.m4a"),
        Input("an mp4 in an mp4", in_mp4(m4a), "broken", "a.m4a"),
        Input("a wav in a tag of mp3", id3 + inner[:2047], "broken", "a.mp3"),
        Input("a zip of a wav", traps.zipped(inner), "not_audio", "a.wav"),
        Input("a wav behind a zip", traps.zipped(inner) + inner, "not_audio", "a.wav"),
        Input("a tar of a wav", traps.tarred(inner), "not_audio", "a.wav"),
        Input("a gzip of a wav", gzip.compress(inner), "not_audio", "a.wav"),
        Input("a wav behind 100 kB of nothing", bytes(100_000) + inner, "not_audio", "a.wav"),
        Input("an mp4 of 10 boxes in boxes", traps.boxes(10), "broken", "a.m4a"),
        Input("an mp4 of 5000 boxes in boxes", traps.boxes(5000), "broken", "a.m4a"),
    ]


PROGRAMS = {
    "a program of Windows": b"MZ\x90\0\x03\0\0\0" + bytes(52) + b"\x40\0\0\0PE\0\0\x64\x86",
    "a program of Linux": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\x3e\0",
    "a program of macOS": b"\xcf\xfa\xed\xfe\x07\0\0\x01",
    "a program of Java": b"\xca\xfe\xba\xbe\0\0\0\x34",
    "a program of the web": b"\0asm\x01\0\0\0",
    "a script of a shell": b"#!/bin/sh\nrm -rf /\n",
    "a script of a web server": b"<?php system($_GET['c']); ?>",
    "a pickle": b"cposix\nsystem\n(S'id'\ntR.",
    "a picture that is a script": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a picture": b"\x89PNG\r\n\x1a\n",
    "a letter to print": b"%PDF-1.7\n",
}


def _programs() -> list[Input]:
    noise = np.random.default_rng(0).bytes(4000)
    return [Input(t, head + noise, "not_audio", "a.wav") for t, head in PROGRAMS.items()]


def _false_heads() -> list[Input]:
    good = wav(subtype="PCM_16")
    of_zero, of_many = riff(1, bytes(8000), channels=0), riff(1, bytes(8000), channels=65_535)
    return [
        Input("a head that says half of it", said_as(good, len(good) // 2), "heard", "a.wav"),
        Input("a head that says nothing of it", said_as(good, 0), "heard", "a.wav"),
        Input("a head that says an odd number", said_as(good, 16_001), "heard", "a.wav"),
        Input("a head that says 4 GB", said_as(good, 0xFFFF_FFFE), "heard", "a.wav"),
        Input("a flac that says less", silent_flac(30, 7.5), "silence", "a.flac"),
        Input("no channel", of_zero, "broken", "a.wav"),
        Input("65535 channels", of_many, "broken", "a.wav"),
        Input("samples of 0 bits", riff(1, bytes(8000), bits=0), "broken", "a.wav"),
        Input("samples of 4096 bits", riff(1, bytes(8000), bits=4096), "broken", "a.wav"),
        Input("rate 4 GHz", riff(1, bytes(8000), rate=0xFFFF_FFFF), "broken", "a.wav"),
        Input("a first part of 4 GB", good[:16] + b"\xf0\xff\xff\xff" + good[20:], "broken", "a"),
    ]


def _only_heads() -> list[Input]:
    return [
        Input("ogg's mark 5000 times", b"OggS" * 5000, "broken", "a.ogg"),
        Input("flac's mark 2000 times", b"fLaC" * 2000, "broken", "a.flac"),
        Input("webm's mark 2000 times", b"\x1a\x45\xdf\xa3" * 2000, "broken", "a.webm"),
        Input("mp3's mark 5000 times", b"\xff\xfb\x90\x64" * 5000, "not_audio", "a.mp3"),
        Input("an mp3 tag of 256 MB", b"ID3\x04\0\0" + b"\x7f" * 4, "broken", "a.mp3"),
        Input("an mp4 box of 4 GB", b"\xff" * 4 + in_mp4(b"")[4:], "broken", "a.m4a"),
        Input("ones", b"\xff" * 50_000, "not_audio", "a.mp3"),
        Input("zeros", bytes(50_000), "not_audio", "a.wav"),
    ]
