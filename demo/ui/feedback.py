"""Likes and dislikes, one JSON line each, in a file that the host named; else nothing is kept.

A line has the words of the conversation and the base names of its clips, never their sound.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from demo.ui.history import History, kind_of, paths_of, text_of


def remember(file: Path, tab: str, history: History, liked: bool | str) -> None:
    """Adds that the last reply of `history` was liked, disliked, or the mark was taken back."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "tab": tab,
        "mark": {True: "like", False: "dislike"}.get(bool(liked)) if liked != "" else "none",
        "conversation": [
            {
                "role": message["role"],
                "text": text_of(message),
                "clips": [Path(path).name for path in paths_of([message])],
            }
            for message in history
            if kind_of(message) is None
        ],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, data)  # one write, so that two visitors' lines never mix
    finally:
        os.close(handle)
