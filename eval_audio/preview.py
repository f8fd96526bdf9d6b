r"""Scores a saved preview checkpoint on clips it never heard, and fills the model card's table.

    python -m eval_audio --task preview --model assets/preview-model --clips DIR \
        [--size 200] [--write]

The checkpoint is loaded as anybody loads it, in float32, and answers greedily.
"""

import argparse
import json
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jiwer
import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from eval_audio.cases import Case, exam
from eval_audio.replying import Replier
from finetune.clips.library import open_library
from finetune.clips.numbers import words as number_words
from finetune.shelf import Shelf, read

TABLE = re.compile(r"(<!-- results -->\n).*?(<!-- end of results -->)", re.DOTALL)
SECONDS = {number_words(number): number for number in range(1, 61)}
TOLERANCE = 0.2
QUOTED = re.compile(r'"(.*)"')


def normal(text: str) -> str:
    """As words are compared: lower case, figures as words, no punctuation."""
    text = re.sub(r"\d+", lambda found: " " + number_words(int(found[0]) % 10_000) + " ", text)
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower().replace("’", "'")).split())


def right(case: Case, reply: str) -> bool:
    match case.measure:
        case "seconds":
            return _near(case.expected, reply)
        case "words":
            return normal(case.expected) == normal(reply)
        case _:
            return case.expected == reply.strip()


def _near(expected: str, reply: str) -> bool:
    """Whether a length is right to a fifth, or to a second."""
    found = [
        SECONDS.get(text.split(" about ")[-1].split(" second")[0]) for text in (expected, reply)
    ]
    if found[0] is None or found[1] is None:
        return False
    return abs(found[0] - found[1]) <= max(1, TOLERANCE * found[0])


def heard_words(text: str) -> str:
    """What a reply quotes, or all of it."""
    found = QUOTED.search(text)
    return normal(found[1] if found else text) or "(nothing)"


def scored(cases: Sequence[Case], replies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By group and, inside "conversation" and "honest", by name: how many, right, word errors."""
    groups: dict[str, list[tuple[Case, str]]] = defaultdict(list)
    for case, reply in zip(cases, replies, strict=True):
        groups[case.group].append((case, reply))
        if case.group in ("conversation", "honest"):
            groups[f"{case.group}: {case.name}"].append((case, reply))
    return {name: _group(pairs) for name, pairs in groups.items()}


def _group(pairs: list[tuple[Case, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cases": len(pairs),
        "right": sum(right(case, reply) for case, reply in pairs),
    }
    if "sentences" in pairs[0][0].group:
        expected = [heard_words(case.expected) for case, _ in pairs]
        found["word_error_rate"] = jiwer.wer(expected, [heard_words(reply) for _, reply in pairs])
    return found


def table(scores: dict[str, dict[str, Any]]) -> str:
    lines = ["| what | cases | right | word error rate |", "|---|---|---|---|"]
    for name, row in scores.items():
        error = f"{row['word_error_rate']:.1%}" if "word_error_rate" in row else ""
        share = row["right"] / row["cases"]
        lines.append(f"| {name} | {row['cases']} | {row['right']} ({share:.0%}) | {error} |")
    return "\n".join(lines) + "\n"


def write(folder: Path, scores: dict[str, dict[str, Any]]) -> None:
    """The table into the model card, between its marks, and the numbers beside it."""
    card = folder / "README.md"
    text = TABLE.sub(lambda found: found[1] + table(scores) + found[2], card.read_text("utf-8"))
    card.write_text(text, encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def replier(folder: Path, shelves: Sequence[Shelf]) -> Replier:
    model = Qwen2AudioForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    rows = {name: row for shelf in shelves for name, row in shelf.rows.items()}
    return Replier(model, AutoProcessor.from_pretrained(folder), lambda url: read(url, rows))


def show_failures(cases: Sequence[Case], replies: Sequence[str], most: int) -> None:
    shown: dict[str, int] = defaultdict(int)
    for case, reply in zip(cases, replies, strict=True):
        if not right(case, reply) and shown[case.group + case.name] < most:
            shown[case.group + case.name] += 1
            print(f"[{case.group}: {case.name}] {case.expected!r}\n   got {reply!r}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m eval_audio --task preview", description=__doc__
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--size", type=int, default=200, help="cases a group, at most")
    parser.add_argument("--failures", type=int, default=0, help="show so many of each kind")
    parser.add_argument("--write", action="store_true", help="into the model's README.md")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    rows = open_library(options.clips)
    test, human = (
        Shelf((row for row in rows if row["split"] == split), long_clips=0)
        for split in ("test", "human")
    )
    cases = exam(test, human, options.size)
    replies = replier(options.model, [test, human]).replies([case.conversation for case in cases])
    scores = scored(cases, replies)
    show_failures(cases, replies, options.failures)
    print(table(scores) + f"{len(cases)} cases in {time.monotonic() - started:.0f} s")
    if options.write:
        write(options.model, scores)


if __name__ == "__main__":
    main()
