"""A checkpoint's name -> the model and its processor on the device of this process.

The demo's own choosing, fetching and checking, without the engine around it. One process fetches,
the others wait for it.
"""

import sys
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from accelerate import PartialState

from demo.checkpoint import Choice
from demo.hub import fetch
from demo.loading import Report, Status
from demo.opening import open_model
from eval_audio.answering import Asked

PATIENCE = timedelta(days=7)  # of a process that is done for the others


def crew_of(cpu: bool) -> PartialState:
    """The processes that share the work, as `accelerate launch` started them; one without it."""
    return PartialState(cpu=cpu, timeout=PATIENCE)


def opened(choice: Choice, crew: PartialState) -> tuple[Any, Any, Asked]:
    """The checkpoint's model and processor, checked, on this process's own device.

    Raises:
        EngineError: it cannot be fetched or opened.
    """
    report = reporter(crew)
    source = choice.source
    with crew.main_process_first():
        folder = source if isinstance(source, Path) else fetch(source, choice.hub, report)
    if crew.num_processes > 1 and choice.device.startswith("cuda"):
        choice = replace(choice, device=f"cuda:{crew.local_process_index}")
    model, processor = open_model(folder, choice, report)
    where = {"device": model.device.type, "dtype": str(model.dtype).removeprefix("torch.")}
    return model, processor, Asked(choice.model, _digest(folder), where)


def reporter(crew: PartialState) -> Report:
    """Says how far it is; the first process speaks for all."""
    return _say if crew.is_main_process else _keep_quiet


def _say(status: Status) -> None:
    print(status.text, file=sys.stderr, flush=True)


def _keep_quiet(status: Status) -> None:
    """What another process says already."""


def _digest(folder: Path) -> str:
    files = sorted(folder.glob("*.safetensors"))
    known = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return blake2b(repr(known).encode(), digest_size=8).hexdigest()
