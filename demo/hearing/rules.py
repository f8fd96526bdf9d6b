"""What the audio room allows and what it says: limits, names, sentences, `AudioError`.

It knows nothing about how sound is fetched or decoded. Every sentence names the file by its
base name, the value that was found, the limit and the remedy, in the two languages of the page.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar

from demo.messages import Sentences, UserError

NAME_CHARACTERS = 60  # longer names are shortened in the middle, so that the ending stays
UNNAMED = "clip"
SECONDS_A_MINUTE = 60
KILOBYTE, MEGABYTE = 1_000, 1_000_000

_KINDS = "wav, mp3, flac, ogg, opus, m4a, aac, webm, aiff, amr, mp4, mov, mkv"

SENTENCES: Sentences = {
    # Files
    "missing": (
        "{name} is not there any more. Please choose or record it again.",
        "{name} 已经不在了，请重新选择或重新录音。",
    ),
    "too_long_together": (
        "The clips of this conversation are longer than {limit:g} minutes together. "
        "Please send fewer of them, or shorter ones.",
        "本次对话的音频合计超过 {limit:g} 分钟。请减少音频数量或缩短时长。",
    ),
    "not_a_file": (
        "{name} is not a file. Please choose a sound file.",
        "{name} 不是文件，请选择一个音频文件。",
    ),
    "not_permitted": (
        "{name} cannot be opened: this program may not read it. Change the file's permissions, "
        "or upload a copy.",
        "{name} 无法打开：本程序没有读取权限。请修改文件权限，或上传一个副本。",
    ),
    "unreadable": (
        "{name} cannot be read ({reason}). Please copy it elsewhere and try again.",
        "{name} 无法读取（{reason}）。请复制到别处后重试。",
    ),
    "empty_file": (
        "{name} is empty: 0 bytes. Please record or export it again.",
        "{name} 是空文件（0 字节），请重新录音或重新导出。",
    ),
    "too_large": (
        "{name} is too large: {megabytes:.1f} MB, and the limit is {limit:g} MB. "
        "Send a shorter part, or save it as mp3.",
        "{name} 太大：{megabytes:.1f} MB，上限为 {limit:g} MB。请截取较短的一段，或存为 mp3。",
    ),
    # What is in them
    "not_audio": (
        f"{{name}} is not a sound file that can be read here. Send one of: {_KINDS}.",
        f"{{name}} 不是可以识别的音频文件。请发送以下格式之一：{_KINDS}。",
    ),
    "broken": (
        "{name} is damaged: it begins like {kind}, but none of it can be decoded. "
        "Please export or record it again.",
        "{name} 已损坏：看起来是 {kind} 文件，但完全无法解码。请重新导出或重新录音。",
    ),
    "no_audio_track": (
        "{name} holds a video and no sound track. Send a file that has sound.",
        "{name} 只有视频，没有音轨。请发送有声音的文件。",
    ),
    "only_a_picture": (
        "{name} holds a picture and no sound track. Send a file that has sound.",
        "{name} 只有图片，没有音轨。请发送有声音的文件。",
    ),
    "no_samples": (
        "{name} has no sound in it: 0 s. Please record or export it again.",
        "{name} 里没有声音（0 秒），请重新录音或重新导出。",
    ),
    "nothing_heard": (
        "{name} has nothing to hear: {milliseconds:.0f} ms of silence. Speak for {minimum:g} s "
        "or longer, and check that the right microphone is selected.",
        "{name} 里听不到任何声音：只有 {milliseconds:.0f} 毫秒的静音。"
        "请至少说 {minimum:g} 秒，并检查是否选对了麦克风。",
    ),
    "no_sound": (
        "{name} holds samples that are no sound (NaN, infinite, or beyond {largest:g}), the first "
        "after {seconds:.2f} s. Please export it again.",
        "{name} 含有无效采样（NaN、无穷大或超过 {largest:g}），最早出现在 {seconds:.2f} 秒处。"
        "请重新导出。",
    ),
    "bad_rate": (
        "{name} says that it has {rate} samples a second; from {lowest} to {highest} can be "
        "heard. Please export it at 16000.",
        "{name} 的采样率为 {rate}，只支持 {lowest} 到 {highest}。请以 16000 重新导出。",
    ),
    "too_long": (
        "{name} is too long: {length}, and the limit is {limit:g} minutes. Send a shorter part.",
        "{name} 太长：{length}，上限为 {limit:g} 分钟。请截取较短的一段。",
    ),
    "longer_than_limit": (
        "{name} is longer than the limit of {limit:g} minutes. Send a shorter part.",
        "{name} 超过了 {limit:g} 分钟的上限。请截取较短的一段。",
    ),
    # Warnings
    "silence": (
        "I hear only silence in {name} ({length}); is the right microphone selected?",
        "在 {name}（{length}）中只听到静音；是否选对了麦克风？",
    ),
    "padded": (
        "{name} is very short ({milliseconds:.0f} ms): silence was added to make {minimum:g} s.",
        "{name} 很短（{milliseconds:.0f} 毫秒），已补静音至 {minimum:g} 秒。",
    ),
    "cut_off": (
        "{name} is damaged or cut off: heard the first {heard:.1f} s of {whole:.1f} s.",
        "{name} 已损坏或不完整：只听到全长 {whole:.1f} 秒中的前 {heard:.1f} 秒。",
    ),
    "damaged": (
        "{name} is damaged after {first:.1f} s: heard {heard:.1f} s of it.",
        "{name} 从 {first:.1f} 秒处开始损坏：共听到 {heard:.1f} 秒。",
    ),
    "out_of_range": (
        "{name} goes up to {peak:.6g} where full level is 1: it was made quieter to fit.",
        "{name} 的峰值为 {peak:.6g}，而满刻度是 1：已降低音量以适应。",
    ),
    # Addresses
    "bad_data_url": (
        "The data: URL cannot be read: its content is not valid base64. Send it as "
        "data:audio/wav;base64,…",
        "无法读取 data: 地址：内容不是有效的 base64。请使用 data:audio/wav;base64,… 的形式。",
    ),
    "url_scheme": (
        "{name} cannot be fetched: its address begins with {scheme}: and only http: and https: "
        "are taken.",
        "无法获取 {name}：地址以 {scheme}: 开头，只支持 http: 和 https:。",
    ),
    "url_wrong": (
        "{name} cannot be fetched: its address is not a valid one. Copy it again from the browser.",
        "无法获取 {name}：地址无效。请从浏览器重新复制。",
    ),
    "url_private": (
        "{name} cannot be fetched: {host} lies in a private network. Upload the file "
        "instead. (The host of this page can allow it with --allow-private-urls.)",
        "无法获取 {name}：{host} 位于内部网络。请改为上传文件。"
        "（本页的管理员可用 --allow-private-urls 放行。）",
    ),
    "url_unreachable": (
        "{name} cannot be fetched: {host} cannot be reached. Check the address, or upload the "
        "file instead.",
        "无法获取 {name}：无法连接 {host}。请检查地址，或改为上传文件。",
    ),
    "url_status": (
        "{name} cannot be fetched: {host} answered {status}. Check the address, or upload the "
        "file instead.",
        "无法获取 {name}：{host} 返回了 {status}。请检查地址，或改为上传文件。",
    ),
    "url_html": (
        "{name} is a web page, not a sound file. Give the address of the file itself, or upload "
        "the file.",
        "{name} 是网页，不是音频文件。请提供文件本身的地址，或上传文件。",
    ),
    "url_redirects": (
        "{name} cannot be fetched: {host} redirected more than {limit} times. Upload the file "
        "instead.",
        "无法获取 {name}：{host} 重定向超过 {limit} 次。请改为上传文件。",
    ),
    "url_encoding": (
        "{name} cannot be fetched: {host} sent it compressed as {encoding}. Upload the file "
        "instead.",
        "无法获取 {name}：{host} 以 {encoding} 压缩发送。请改为上传文件。",
    ),
    "url_too_large": (
        "{name} is too large, or never ends: more than the limit of {limit:g} MB came. "
        "Send a shorter file.",
        "{name} 太大或没有结尾：已超过 {limit:g} MB 的上限。请发送较短的文件。",
    ),
    "url_slow": (
        "{name} came too slowly, or never ends: it was not complete after {limit:g} s. Upload "
        "the file instead.",
        "{name} 传输太慢或没有结尾：{limit:g} 秒后仍未完成。请改为上传文件。",
    ),
    "url_stalled": (
        "{name} cannot be fetched: {host} sent nothing for {limit:g} s. Try again, or upload the "
        "file instead.",
        "无法获取 {name}：{host} 在 {limit:g} 秒内没有发送数据。请重试，或改为上传文件。",
    ),
    "url_no_answer": (
        "{name} cannot be fetched: {host} did not answer as a web server does. Check the "
        "address, or upload the file instead.",
        "无法获取 {name}：{host} 的应答不是网页服务器的应答。请检查地址，或改为上传文件。",
    ),
    "url_broke_off": (
        "{name} came only in part: {host} broke the connection off after {kilobytes:.0f} kB. "
        "Try again, or upload the file instead.",
        "{name} 只收到一部分：{host} 在 {kilobytes:.0f} kB 后中断了连接。请重试，或改为上传文件。",
    ),
    # What the page says about a clip
    "heard_whole": ("{length} of audio", "{length} 的音频"),
    "heard_parts": (
        "{length} of audio, heard as {parts} parts",
        "{length} 的音频，分为 {parts} 段聆听",
    ),
}


class AudioError(UserError):
    """A clip cannot be heard."""

    sentences: ClassVar[Sentences] = SENTENCES


@dataclass(frozen=True)
class Limits:
    """What a person may send; the host sets it."""

    max_minutes: float = 10.0
    max_file_mb: float = 100.0
    allow_private_urls: bool = False
    download_seconds: float = 60.0  # for a whole download
    stall_seconds: float = 10.0  # for a connection, and for each piece that comes over it

    @property
    def max_seconds(self) -> float:
        return self.max_minutes * SECONDS_A_MINUTE

    @property
    def max_bytes(self) -> int:
        return int(self.max_file_mb * MEGABYTE)


def clock(seconds: float) -> str:
    """A length as people write it: 0:04, 1:42, 2:00:00; tenths below ten seconds."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), SECONDS_A_MINUTE)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shown_name(name: str) -> str:
    """`name` as it can stand in a sentence: no folders, no invisible characters, not too long.

    Control, bidirectional and unassigned characters go (Unicode categories C*), so that a name
    can neither break a line nor turn the sentence around it.
    """
    base = PurePath(name.replace("\\", "/")).name
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in base)
    tidy = " ".join(visible.split()) or UNNAMED
    if len(tidy) <= NAME_CHARACTERS:
        return tidy
    tail = NAME_CHARACTERS // 3
    return f"{tidy[: NAME_CHARACTERS - tail - 1]}…{tidy[-tail:]}"
