"""Puts a model's own replies into a manifest, so that tuning on it keeps what the model says now.

    python -m finetune rehearse --model BASE IN.jsonl OUT.jsonl

The last turn of each conversation, if it is the assistant's, gives way to what BASE answers. Rows
of OUT beside new ones in a manifest hold a model where it is: unlike right answers, its own are
nothing new to it.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from demo.audio import Ear
from demo.checkpoint import PREVIEW
from eval_audio.replying import Replier
from finetune.manifest import Manifest, located, moved, write_manifest
from finetune.preparing import LIMITS, checked
from finetune.rendering import Conversation


def asked(conversation: Conversation) -> Conversation:
    """The conversation up to where the assistant is to speak."""
    return conversation[:-1] if conversation[-1]["role"] == "assistant" else conversation


def replies_to(model: Any, processor: Any, manifest: Path) -> list[str]:
    """What a model says at the end of each conversation of a manifest."""
    ear = Ear(LIMITS)

    def read(url: str) -> np.ndarray:
        return ear.hear(located(url, manifest.parent)).samples

    return Replier(model, processor, read).replies([asked(one) for one in Manifest(manifest)])


def at_home(conversation: Conversation, before: Path, after: Path) -> Conversation:
    """A conversation of a manifest in one folder, for a manifest in another."""

    def part(one: dict[str, Any]) -> dict[str, Any]:
        if one["type"] != "audio":
            return one
        return {**one, "audio_url": moved(one["audio_url"], before, after)}

    return [
        turn
        if isinstance(turn["content"], str)
        else {**turn, "content": [part(one) for one in turn["content"]]}
        for turn in conversation
    ]


def rehearse(model: Any, processor: Any, source: Path, destination: Path) -> int:
    """Writes the manifest with the model's replies; returns how many rows it has."""
    replies = replies_to(model, processor, source)
    found = [
        [
            *at_home(asked(turns), source.parent, destination.parent),
            {"role": "assistant", "content": reply},
        ]
        for turns, reply in zip(Manifest(source), replies, strict=True)
        if reply.strip()
    ]
    write_manifest(destination, found)
    return len(found)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune rehearse", description=__doc__)
    parser.add_argument("--model", required=True, help="preview, a name or a folder")
    parser.add_argument("source", type=Path, metavar="IN.jsonl")
    parser.add_argument("destination", type=Path, metavar="OUT.jsonl")
    options = parser.parse_args(arguments)
    source = PREVIEW if options.model == "preview" else options.model
    processor = AutoProcessor.from_pretrained(source)
    model: Any = Qwen2AudioForConditionalGeneration.from_pretrained(source, dtype=torch.float32)
    context = model.config.get_text_config().max_position_embeddings
    checked([options.source], processor, context, split=False)
    count = rehearse(model, processor, options.source, options.destination)
    print(f"{options.destination.name}: {count} conversations with the model's own replies")
