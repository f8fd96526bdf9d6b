"""A manifest, a run of `eval_audio` on it, and what the model card's code says to its clips."""

import json
from pathlib import Path
from typing import Any

from eval_audio.__main__ import main
from tests.model_card import ModelCard
from tests.serving import ROOT

EXAMPLES = ROOT / "assets" / "examples"
SAID = "What does the person say?"
SPOKEN = ["woman-visit.flac", "man-table.flac", "voice-chat-sum.flac"]


def row(audio: str, **fields: Any) -> dict[str, Any]:
    return {"audio": audio, "prompt": SAID, "gt": "a b c", "source": "said", **fields}


def written(folder: Path, lines: list[Any]) -> Path:
    path = folder / "manifest.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def evaluate(manifest: Path, output: Path, flags: str = "--task asr --language en") -> int:
    words = f"--model preview --device cpu --dtype float32 --batch-size 3 {flags}"
    return main([*words.split(), "--manifest", str(manifest), "--output", str(output)])


def through(urls: list[str], manifest: Path, output: Path, flags: str = "") -> int:
    """An evaluation by servers."""
    words = f"--model auto --batch-size 2 --task asr --language en {flags}".split()
    where = [word for url in urls for word in ("--base-url", url)]
    return main([*words, *where, "--manifest", str(manifest), "--output", str(output)])


def predictions(output: Path) -> list[dict[str, Any]]:
    lines = (output / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def asked(card: ModelCard, path: Path | str, words: str = SAID) -> str:
    parts = [{"type": "audio", "audio_url": str(path)}, {"type": "text", "text": words}]
    return card.reply([{"role": "user", "content": parts}], max_new_tokens=256)
