"""A checkpoint's name -> the model and its processor on the device of this process.

The demo's own choosing, fetching and checking, without the engine around it. One process fetches,
the others wait for it.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from accelerate import PartialState

from demo.checkpoint import Choice, Dtype, choose
from demo.hub import Hub, fetch
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


def choice_of(model: str, hub: Hub, device: str, dtype: Dtype) -> Choice:
    """Raises CheckpointError: no such model or device."""
    return choose(model, hub, device, dtype=dtype)


def opened(choice: Choice, crew: PartialState) -> Opened:
    """The checkpoint, checked, on this process's own device.

    Raises:
        EngineError: it cannot be fetched or opened.
    """
    with crew.main_process_first():
        source = choice.source
        quiet = (lambda status: None) if not crew.is_main_process else _say
        folder = source if isinstance(source, Path) else fetch(source, choice.hub, quiet)
    if crew.num_processes > 1 and choice.device.startswith("cuda"):
        choice = replace(choice, device=f"cuda:{crew.local_process_index}")
    model, processor = open_model(folder, choice, quiet)
    return Opened(model, processor, choice.model, _digest(folder))


def _say(status: Status) -> None:
    import sys

    print(status.text, file=sys.stderr, flush=True)


def _digest(folder: Path) -> str:
    files = sorted(folder.glob("*.safetensors"))
    known = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return blake2b(repr(known).encode(), digest_size=8).hexdigest()
