"""Makes a manifest of conversations of an original evaluation manifest.

    python -m finetune convert IN.jsonl OUT.jsonl

A line of IN is `{"audio": path or URL, "prompt": words, "gt": the right reply}`; `prompt` may be
left out. A relative path is one from IN's folder, and becomes one from OUT's.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from finetune.checking import RowError, parsed, read_lines
from finetune.manifest import moved, write_manifest
from finetune.rendering import Conversation

SOUND = "<|audio_bos|><|AUDIO|><|audio_eos|>"  # before a prompt that is written out


def converted(row: dict[str, Any], url: str) -> Conversation:
    """One turn of a user, with the clip first, and its reply."""
    words = str(row.get("prompt") or "").removeprefix(SOUND)
    content = [{"type": "audio", "audio_url": url}]
    content += [{"type": "text", "text": words}] * bool(words)
    return [{"role": "user", "content": content}, {"role": "assistant", "content": str(row["gt"])}]


def fields(line: str) -> dict[str, Any]:
    """The row on a line, with all that is needed of it."""
    row = parsed(line)
    for name in ("audio", "gt"):
        if not isinstance(row.get(name), str | int | float) or not str(row[name]).strip():
            raise RowError(f'"{name}" is not in it, or is no text')
    return row


def convert(source: Path, destination: Path) -> int:
    """Writes the manifest, or ends the program with every line that cannot be converted."""
    found: list[Conversation] = []
    bad: list[str] = []
    for number, line in enumerate(read_lines(source), 1):
        if not line.strip():
            continue
        try:
            row = fields(line)
        except RowError as error:
            bad.append(f"  line {number}: {error}")
            continue
        found.append(converted(row, moved(str(row["audio"]), source.parent, destination.parent)))
    if bad or not found:
        head = f"{source.name}: {len(bad)} of {len(bad) + len(found)} rows cannot be converted."
        raise SystemExit("\n".join([head, *bad, "Nothing was written."]))
    write_manifest(destination, found)
    return len(found)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune convert", description=__doc__)
    parser.add_argument("source", type=Path, metavar="IN.jsonl")
    parser.add_argument("destination", type=Path, metavar="OUT.jsonl")
    options = parser.parse_args(arguments)
    if not options.destination.parent.is_dir():
        parser.error(f"{options.destination.parent} is no folder")
    count = convert(options.source, options.destination)
    print(f"{options.destination.name}: {count} conversations", file=sys.stderr)
