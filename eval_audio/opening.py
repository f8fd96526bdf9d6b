"""A checkpoint's name -> the model and its processor on the device of this process.

The demo's own choosing, fetching and checking, without the engine around it. One process fetches,
the others wait for it.
"""

import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from accelerate import PartialState

from demo.checkpoint import Choice
from demo.hub import fetch
from demo.loading import Status
from demo.opening import open_model

PATIENCE = timedelta(days=7)  # of a process that is done for the others


@dataclass(frozen=True)
class Opened:
    model: Any
    processor: Any
    name: str
    weights: str  # changes when the weights' files do

    @property
    def where(self) -> dict[str, str]:
        return {
            "device": self.model.device.type,
            "dtype": str(self.model.dtype).removeprefix("torch."),
        }


def crew_of(choice: Choice) -> PartialState:
    """The processes that share the work, as `accelerate launch` started them; one without it."""
    return PartialState(cpu=choice.device == "cpu", timeout=PATIENCE)


def opened(choice: Choice, crew: PartialState) -> Opened:
    """The checkpoint, checked, on this process's own device.

    Raises:
        EngineError: it cannot be fetched or opened.
    """
    report = _say if crew.is_main_process else _keep_quiet
    source = choice.source
    with crew.main_process_first():
        folder = source if isinstance(source, Path) else fetch(source, choice.hub, report)
    if crew.num_processes > 1 and choice.device.startswith("cuda"):
        choice = replace(choice, device=f"cuda:{crew.local_process_index}")
    model, processor = open_model(folder, choice, report)
    return Opened(model, processor, choice.model, _digest(folder))


def _say(status: Status) -> None:
    print(status.text, file=sys.stderr, flush=True)


def _keep_quiet(status: Status) -> None:
    """The first process speaks for all."""


def _digest(folder: Path) -> str:
    files = sorted(folder.glob("*.safetensors"))
    known = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return blake2b(repr(known).encode(), digest_size=8).hexdigest()
