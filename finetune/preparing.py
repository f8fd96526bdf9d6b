"""Manifests of files -> what training reads: checked conversations, and every window's features.

A manifest with a bad row is told whole, each bad row by its line, before anything is heard or
trained. What is made here lies in the output folder and is made once.
"""

import sys
from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

from demo.audio import Clip, Ear, Limits
from finetune.checking import Checker, Fault, read_lines
from finetune.ears import POSITIONS_PER_TOKEN
from finetune.encoding import fill
from finetune.features import Listener
from finetune.manifest import Manifest, located, write_manifest
from finetune.rendering import Conversation, Renderer
from finetune.store import FeatureStore

LIMITS = Limits(max_minutes=60.0, max_file_mb=2000.0, allow_private_urls=True)  # one's own data


class Reader:
    """Hears the clips of manifests, each by its path beside the manifest or by its URL."""

    def __init__(self) -> None:
        self.ear = Ear(LIMITS)
        self.windows: dict[str, tuple[Path, str, int]] = {}

    def hear(self, folder: Path, url: str) -> Clip:
        return self.ear.hear(located(url, folder))

    def window(self, name: str) -> np.ndarray:
        folder, url, place = self.windows[name]
        return self.hear(folder, url).windows()[place]


def checked(
    paths: Iterable[Path], processor: Qwen2AudioProcessor, context: int, split: bool
) -> tuple[list[list[Conversation]], Reader]:
    """The conversations of each manifest, and what hears the windows in them.

    Ends the program where a row cannot be used, having named every such row.
    """
    reader, renderer = Reader(), Renderer(processor)
    found: list[list[Conversation]] = []
    bad: list[str] = []
    for path in paths:
        checker = Checker(renderer, context, split)
        rows = list(checker.rows(read_lines(path), partial(reader.hear, path.parent)))
        found.append([row for row in rows if not isinstance(row, Fault)])
        bad += told(path, [row for row in rows if isinstance(row, Fault)], len(rows))
        reader.windows |= {n: (path.parent, w.url, w.place) for n, w in checker.windows.items()}
        for note in checker.notes:
            print(f"{path.name}: {note}", file=sys.stderr)
    if bad:
        raise SystemExit("\n".join([*bad, "Nothing was trained."]))
    return found, reader


def told(path: Path, faults: list[Fault], rows: int) -> list[str]:
    """What is wrong with a manifest, a line for each bad row; nothing where it can be used."""
    if not rows:
        return [f"{path.name}: there is no conversation in it."]
    if not faults:
        return []
    head = f"{path.name}: {len(faults)} of {rows} rows cannot be used."
    return [head, *(f"  line {fault.line}: {fault.reason}" for fault in faults)]


def store_of(
    folder: Path, model: Qwen2AudioForConditionalGeneration, trained_layers: int
) -> FeatureStore:
    """The features of this model's encoder, apart from those of any other encoder."""
    tower = model.model.audio_tower
    name = f"{fingerprint(tower)}-{trained_layers}"
    per_token = POSITIONS_PER_TOKEN if trained_layers else 1
    return FeatureStore(folder / name, tower.config.d_model, per_token)


def fingerprint(module: nn.Module) -> str:
    """A short name of a module's weights."""
    digest = blake2b(digest_size=8)
    for weight in module.state_dict().values():
        digest.update(weight.cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def keep(folder: Path, names: list[str], found: list[list[Conversation]]) -> None:
    """Writes checked conversations where every process of a run reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, conversations in zip(names, found, strict=True):
        write_manifest(folder / name, conversations)


def hear_all(
    manifests: Iterable[Manifest],
    reader: Reader,
    store: FeatureStore,
    model: Qwen2AudioForConditionalGeneration,
    processor: Qwen2AudioProcessor,
    trained_layers: int,
) -> None:
    """Hears every window that `store` lacks."""
    tower = model.model.audio_tower.eval()
    listener = Listener(tower, processor.feature_extractor, trained_layers)
    urls = [url for manifest in manifests for url in manifest.clips()]
    fill(store, urls, reader.window, listener, bf16=False)
