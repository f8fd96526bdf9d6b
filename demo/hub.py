"""A checkpoint's name -> the folder that holds its files, through Hugging Face or ModelScope.

It knows what files a checkpoint is made of, not what is in them. The hubs' clients are imported
when one is asked, and only that one. What goes wrong is one sentence with the remedy.
"""

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from demo.engine import EngineError
from demo.loading import Report, Status
from demo.messages import Message, Sentences

Hub = Literal["huggingface", "modelscope"]
NAMES = {"huggingface": "Hugging Face", "modelscope": "ModelScope"}
OTHER = {"huggingface": "modelscope", "modelscope": "huggingface"}
FILES = ["*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.json"]
GB = 1e9
SPARE_BYTES = 1e9  # left free on the disk

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
        "The download of {name} from {hub} broke off ({error}). Start again: what is there "
        "already is kept.",
        "从 {hub} 下载 {name} 时中断（{error}）。请重新启动：已下载的部分会保留。",
    ),
}
TOKENS = {"huggingface": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}
CACHES = {"huggingface": "HF_HOME", "modelscope": "MODELSCOPE_CACHE"}


class HubError(EngineError):
    """A checkpoint cannot be got from its hub."""

    sentences = SENTENCES


@dataclass(frozen=True)
class _Order:
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


class _Meter:
    """Counts bytes from the hubs' download threads and reports them."""

    def __init__(self, order: _Order, total: float, report: Report) -> None:
        self._order, self._total, self._report = order, max(total, 1.0), report
        self._done = 0.0
        self._lock = threading.Lock()

    def add(self, size: float) -> None:
        with self._lock:
            self._done = min(self._done + size, self._total)
            fraction = self._done / self._total
            values = {
                "name": self._order.name,
                "hub": NAMES[self._order.hub],
                "done": self._done / GB,
                "total": self._total / GB,
                "percent": 100 * fraction,
            }
            self._report(Status("download", fraction, Message(SENTENCES, "downloading", **values)))


def fetch(name: str, hub: Hub, report: Report) -> Path:
    """The folder with the checkpoint's files, downloaded where they are not here yet.

    Raises:
        HubError: no such model, no access, no network, no room on the disk.
    """
    order = _Order(name, hub)
    report(Status("download", None, Message(SENTENCES, "asking", hub=NAMES[hub], name=name)))
    get = _from_modelscope if hub == "modelscope" else _from_huggingface
    return get(order, report)


def _from_huggingface(order: _Order, report: Report) -> Path:
    import httpx2
    from huggingface_hub import errors, snapshot_download

    try:
        missing = _missing_at_huggingface(order)
        bar = _bar_class(_Meter(order, missing, report).add) if missing else None
        return Path(snapshot_download(order.name, allow_patterns=FILES, tqdm_class=bar))
    except errors.GatedRepoError:
        raise order.error("gated") from None
    except errors.RepositoryNotFoundError:
        raise order.error("not_found") from None
    except errors.LocalEntryNotFoundError:
        raise order.error("unreachable") from None
    except (httpx2.HTTPError, OSError) as error:
        raise order.error("broken_off", error=_first_line(error)) from None


def _missing_at_huggingface(order: _Order) -> float:
    """Bytes that are still to come, 0 where the hub cannot tell (offline); the disk has room."""
    from huggingface_hub import constants, errors, snapshot_download

    try:
        files = snapshot_download(order.name, allow_patterns=FILES, dry_run=True)
    except errors.DryRunError:
        return 0.0
    missing = sum(one.file_size or 0 for one in files if one.will_download)
    _require_room(order, missing, Path(constants.HF_HUB_CACHE))
    return missing


def _bar_class(add: Callable[[float], None]) -> type[Any]:
    """A progress bar of Hugging Face's kind that draws nothing and counts the bytes written."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # pyright: ignore[reportMissingTypeArgument, reportUntypedBaseClass]
        def __init__(self, *args: Any, **given: Any) -> None:
            self._bytes = given.get("name") == "huggingface_hub.snapshot_download"
            super().__init__(*args, **{**given, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            if self._bytes:
                add(n or 0)
            return super().update(n)

    return Bar


def _from_modelscope(order: _Order, report: Report) -> Path:
    import requests
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope_hub import errors

    try:
        total = _total_at_modelscope(order)
        count = _callback_class(_Meter(order, total, report).add)
        return Path(snapshot_download(order.name, allow_patterns=FILES, progress_callbacks=[count]))
    except (requests.ConnectionError, requests.Timeout, errors.NetworkError):
        return _here_from_modelscope(order)
    except errors.NotExistError:
        raise order.error("not_found") from None
    except (errors.PermissionDeniedError, errors.AuthenticationError):
        raise order.error("gated") from None
    except (requests.RequestException, errors.HubError, OSError) as error:
        raise order.error("broken_off", error=_first_line(error)) from None


def _here_from_modelscope(order: _Order) -> Path:
    """What an earlier start has downloaded; the hub itself cannot be reached."""
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope_hub import errors

    try:
        return Path(snapshot_download(order.name, allow_patterns=FILES, local_files_only=True))
    except errors.HubError:
        raise order.error("unreachable") from None


def _total_at_modelscope(order: _Order) -> float:
    """Bytes of all the files, those that are here already too; the disk has room for the rest."""
    from modelscope_hub import HubApi

    hub = HubApi()
    files = hub.list_repo_files(order.name, "model")
    total = sum(one.size for one in files if any(Path(one.path).match(kind) for kind in FILES))
    cache = hub.scan_cache()
    here = sum(one.size_on_disk for one in cache.repos if one.repo_id == order.name)
    _require_room(order, max(0, total - here), Path(cache.cache_dir or Path.home()))
    return total


def _callback_class(add: Callable[[float], None]) -> type[Any]:
    from modelscope_hub import ProgressCallback

    class Count(ProgressCallback):
        def update(self, size: int) -> None:
            add(size)

    return Count


def _require_room(order: _Order, need: float, cache: Path) -> None:
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if need + SPARE_BYTES > free:
        raise order.error("disk", need=need / GB, free=free / GB)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
