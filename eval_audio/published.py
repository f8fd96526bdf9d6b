"""The published results, and which of them a group of a manifest is to be compared with.

`published.csv` has a line for each number: for what, by which system, and where it was read. The
two READMEs are those of QwenLM/Qwen2-Audio, whose first table is the paper's (arXiv 2407.10759) and
whose second was measured after the conversion to Hugging Face, and of OFA-Sys/AIR-Bench. In the
first, the other systems' results on mixed audio are mostly AIR-Bench's averages; AIR-Bench's own
are kept here. What is called a word error rate there is one of characters for Chinese and
Cantonese, as here.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from eval_audio.manifest import Task

TABLE = Path(__file__).parent / "published.csv"
EDGE = r"(?<![a-z0-9]){}(?![a-z0-9])"
"""Around a name that must stand by itself, as `zh` in `cv15_asr_zh_eval`."""
DATASETS = {
    "LibriSpeech": "libri",
    "Common Voice 15": r"cv15|cv.15|common.?voice",
    "Fleurs": "fleurs|fluers",  # the original project spells it both ways
    "Aishell2": "aishell.?2",
    "CoVoST2": "covost",
    "MELD": "meld",
    "VocalSound": "vocal.?sound",
    "AIR-Bench": "air.?bench",
}
ONE_SPLIT = ("MELD", "VocalSound")  # published for their test split, which nobody names


@dataclass(frozen=True)
class Published:
    """One number of the table."""

    task: str
    dataset: str
    split: str
    metric: str
    system: str
    value: float
    origin: str


def table() -> list[Published]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [
        Published(task, dataset, split, metric, system, float(value), origin)
        for task, dataset, split, metric, system, value, origin in rows
    ]


def beside(task: Task, manifest: str, source: str) -> list[Published]:
    """What was published for a group, by its name and that of its manifest."""
    rows = [row for row in table() if row.task == task]
    return [row for row in rows if _is_of(row.dataset, row.split, manifest, source)]


def _is_of(dataset: str, split: str, manifest: str, source: str) -> bool:
    names = f"{manifest} {source}".lower()
    if not re.search(DATASETS[dataset], names):
        return False
    return dataset in ONE_SPLIT or bool(re.search(EDGE.format(_loose(split)), names))


def _loose(split: str) -> str:
    """A split's name with any joint: test-clean, test_clean, test.clean."""
    return re.escape(split).replace(r"\-", "[^a-z0-9]?")
