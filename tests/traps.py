"""Makes files that are not what they seem: hours in little room, files in files, false heads."""

import io
import struct
import tarfile
import zipfile
from functools import cache

import av

from tests.sounds import add_video

HOUR = 3600  # seconds
FLAC_RATE = 8_000
FLAC_BLOCK = 60_000  # samples, 7.5 s: a frame may have up to 65535


def silent_flac(seconds: float, said: float) -> bytes:
    """`seconds` of silence, 14 bytes for each 7.5 s; the head says `said`, 0 is "not known"."""
    kind = FLAC_RATE << 44 | 15 << 36 | round(said * FLAC_RATE)  # mono, 16 bits
    info = struct.pack(">HH6xQ16x", FLAC_BLOCK, FLAC_BLOCK, kind)
    frames = round(seconds * FLAC_RATE / FLAC_BLOCK)
    return b"fLaC\x80\0\0\x22" + info + b"".join(map(_silent_frame, range(frames)))


@cache
def _silent_frame(number: int) -> bytes:
    """Sync, 8 kHz, mono of 16 bits, the number as UTF-8 writes one, the block's size; then 0."""
    head = b"\xff\xf8\x74\x08" + chr(number).encode() + struct.pack(">H", FLAC_BLOCK - 1)
    frame = head + bytes([_crc(head, 8, 0x07)]) + bytes(3)
    return frame + struct.pack(">H", _crc(frame, 16, 0x8005))


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    found = 0
    for byte in data:
        found ^= byte << (bits - 8)
        for _ in range(8):
            found = (found << 1) ^ (polynomial if found >> (bits - 1) else 0)
            found &= (1 << bits) - 1
    return found


def riff(tag: int, data: bytes, rate: int = 16_000, channels: int = 1, bits: int = 16) -> bytes:
    """A wav of `data`, whatever that is, said to be of the format `tag`."""
    block = channels * bits // 8
    a_second, block = rate * block & 0xFFFF_FFFF, block & 0xFFFF
    kind = struct.pack("<HHIIHH", tag, channels, rate, a_second, block, bits)
    body = b"WAVE" + _chunk(b"fmt ", kind) + _chunk(b"data", data)
    return _chunk(b"RIFF", body)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def said_as(content: bytes, data_bytes: int) -> bytes:
    """A wav whose head says that its data has so many bytes."""
    at = content.index(b"data") + 4
    return content[:at] + struct.pack("<I", data_bytes) + content[at + 4 :]


def in_mp4(content: bytes) -> bytes:
    """The outside of an m4a, with another file where its sound should be."""
    head = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42"
    return head + struct.pack(">I4s", 8 + len(content), b"mdat") + content


def boxes(depth: int) -> bytes:
    """An m4a whose index is an index in an index, and so on."""
    sizes = range(8 * depth, 0, -8)
    return in_mp4(b"") + b"".join(struct.pack(">I", size) + b"moov" for size in sizes)


def attached(content: bytes) -> bytes:
    """An mkv of a video, with `content` as a file attached to it."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        container.add_attachment("inner.wav", "audio/wav", content)
        add_video(container)
    return file.getvalue()


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as folder:
        folder.writestr("inner.wav", content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as folder:
        entry = tarfile.TarInfo("inner.wav")
        entry.size = len(content)
        folder.addfile(entry, io.BytesIO(content))
    return file.getvalue()
