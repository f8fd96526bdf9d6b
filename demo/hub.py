"""A checkpoint's name -> the folder that holds its files, through Hugging Face or ModelScope.

It knows what files a checkpoint is made of, not what is in them. The hubs' clients are imported
when one is asked, and only that one. A hub that goes away in mid-download is asked again for an
hour. What goes wrong is one sentence with the remedy.
"""

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.hub_errors import NAMES, SENTENCES, Hub, HubError, Order
from demo.loading import Report, Status
from demo.messages import Message

FILES = ["*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.json"]
GB = 1e9
SPARE_BYTES = 1e9  # left free on the disk
PAUSES = (5, 10, 20, 40, *[60] * 58)  # seconds, before a download that broke off is tried again
WEIGHTS = "model.safetensors"


class _Meter:
    """Counts bytes from the hubs' download threads and reports them."""

    def __init__(self, order: Order, total: float, report: Report) -> None:
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
    order = Order(name, hub)
    report(Status("download", None, Message(SENTENCES, "asking", hub=NAMES[hub], name=name)))
    get = _from_modelscope if hub == "modelscope" else _from_huggingface
    reason = ""
    for pause in PAUSES:
        try:
            return get(order, report)
        except HubError as error:
            reason = error.message.values.get("error", reason)
            if not reason or error.key not in ("broken_off", "unreachable"):
                raise
            again = order.error("pausing", seconds=pause, error=reason).message
            report(Status("download", None, again))
        time.sleep(pause)
    return get(order, report)


def _from_huggingface(order: Order, report: Report) -> Path:
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
    except (httpx2.HTTPError, OSError, RuntimeError) as error:  # the last is Xet's
        raise order.broken(error) from None


def _missing_at_huggingface(order: Order) -> float:
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


def _from_modelscope(order: Order, report: Report) -> Path:
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
        raise order.broken(error) from None


def _here_from_modelscope(order: Order) -> Path:
    """What an earlier start has downloaded; the hub itself cannot be reached."""
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope_hub import errors

    try:
        here = Path(snapshot_download(order.name, allow_patterns=FILES, local_files_only=True))
    except errors.HubError:
        raise order.error("unreachable") from None
    if not _has_weights(here):  # it broke off: ModelScope's client does not look
        raise order.error("unreachable")
    return here


def _has_weights(folder: Path) -> bool:
    """Whether all files are there that hold a checkpoint's weights."""
    index = folder / f"{WEIGHTS}.index.json"
    if not index.exists():
        return (folder / WEIGHTS).exists()
    shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    return all((folder / shard).exists() for shard in shards)


def _total_at_modelscope(order: Order) -> float:
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


def _require_room(order: Order, need: float, cache: Path) -> None:
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if need + SPARE_BYTES > free:
        raise order.error("disk", need=need / GB, free=free / GB)
