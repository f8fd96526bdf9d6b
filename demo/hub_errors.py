"""What a hub's download meets, in sentences: not there, not allowed, gone, no room.

It knows the hubs' names and variables, not how they are asked.
"""

import errno
import re
from dataclasses import dataclass
from typing import Literal

from demo.engine import EngineError
from demo.messages import Sentences

Hub = Literal["huggingface", "modelscope"]
NAMES = {"huggingface": "Hugging Face", "modelscope": "ModelScope"}
OTHER = {"huggingface": "modelscope", "modelscope": "huggingface"}
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)

SENTENCES: Sentences = {
    "asking": ("Asking {hub} for {name} …", "正在向 {hub} 查询 {name}……"),
    "downloading": (
        "Downloading {name} from {hub}: {done:.1f} of {total:.1f} GB ({percent:.0f}%)",
        "正在从 {hub} 下载 {name}：{done:.1f}/{total:.1f} GB（{percent:.0f}%）",
    ),
    "unreachable": (
        "{hub} could not be reached, and {name} is not on this machine. Check the network, or "
        "try --hub {other}, or give the folder of a checkpoint, or --model preview.",
        "无法连接 {hub}，本机也没有 {name}。请检查网络，或改用 --hub {other}，"
        "或给出模型所在的文件夹，或使用 --model preview。",
    ),
    "not_found": (
        "{hub} has no model named {name}, or it is private. Check the spelling; a private one "
        "needs your access token in {token}.",
        "{hub} 上没有名为 {name} 的模型，或者它是私有的。请检查拼写；私有模型需要在 {token} "
        "中设置访问令牌。",
    ),
    "gated": (
        "{name} on {hub} is given only to those who accepted its terms: accept them on the "
        "model's page, then set your access token in {token}.",
        "{hub} 上的 {name} 需要先接受使用条款：请在模型页面接受，然后在 {token} 中设置访问令牌。",
    ),
    "disk": (
        "{name} needs {need:.1f} GB on the disk, and {free:.1f} GB are free. Make room, or point "
        "{cache} to a folder on another disk.",
        "{name} 需要 {need:.1f} GB 磁盘空间，目前仅剩 {free:.1f} GB。请腾出空间，"
        "或将 {cache} 指向其他磁盘上的文件夹。",
    ),
    "broken_off": (
        "The download of {name} from {hub} broke off ({error}). Start again: the files that are "
        "whole are kept.",
        "从 {hub} 下载 {name} 时中断（{error}）。请重新启动：已下载完整的文件会保留。",
    ),
    "pausing": (
        "The download of {name} from {hub} broke off; it goes on in {seconds} s. ({error})",
        "从 {hub} 下载 {name} 时中断，{seconds} 秒后继续。（{error}）",
    ),
    "unwritten": (
        "The files of {name} cannot be written ({error}). Make room, or point {cache} to a folder "
        "that can be written to.",
        "无法写入 {name} 的文件（{error}）。请腾出空间，或将 {cache} 指向可写入的文件夹。",
    ),
}
TOKENS = {"huggingface": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}
CACHES = {"huggingface": "HF_HOME", "modelscope": "MODELSCOPE_CACHE"}


class HubError(EngineError):
    """A checkpoint cannot be got from its hub."""

    sentences = SENTENCES


@dataclass(frozen=True)
class Order:
    """What is fetched, for the sentences about it."""

    name: str
    hub: Hub

    def error(self, key: str, **values: object) -> HubError:
        known = {
            "name": self.name,
            "hub": NAMES[self.hub],
            "other": OTHER[self.hub],
            "token": TOKENS[self.hub],
            "cache": CACHES[self.hub],
        }
        return HubError(key, **known, **values)

    def broken(self, error: Exception) -> HubError:
        """What broke a download off: the disk's own errors have a number, the network's none.

        Xet tells the number in its words only.
        """
        told = re.search(r"\(os error (\d+)\)", str(error))
        number = int(told[1]) if told else getattr(error, "errno", None)
        on_disk = number in DISK
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return self.error("unwritten" if on_disk else "broken_off", error=reason)
