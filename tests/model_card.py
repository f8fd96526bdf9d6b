"""The model card's few lines, with today's keyword: what every path of the demo must equal."""

from pathlib import Path
from typing import Any

import librosa
import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

PREVIEW = Path(__file__).parents[1] / "assets" / "preview-model"


class ModelCard:
    """A checkpoint asked as its model card says, in float32 and greedily."""

    def __init__(self, checkpoint: Path = PREVIEW) -> None:
        self.processor: Any = AutoProcessor.from_pretrained(checkpoint)
        self.model: Any = Qwen2AudioForConditionalGeneration.from_pretrained(
            checkpoint, dtype=torch.float32
        )

    def reply(self, conversation: list[dict[str, Any]], max_new_tokens: int = 64) -> str:
        text = self.processor.apply_chat_template(
            conversation, add_generation_prompt=True, tokenize=False
        )
        rate = self.processor.feature_extractor.sampling_rate
        sounds = [librosa.load(url, sr=rate)[0] for url in clips_of(conversation)]
        given = {"audio": sounds, "sampling_rate": rate} if sounds else {}
        inputs = self.processor(text=text, **given, return_tensors="pt", padding=True)
        ids = self.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        new = ids[:, inputs.input_ids.size(1) :]
        return self.processor.batch_decode(
            new, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )[0]


def clips_of(conversation: list[dict[str, Any]]) -> list[str]:
    return [
        part["audio_url"]
        for turn in conversation
        if isinstance(turn["content"], list)
        for part in turn["content"]
        if part["type"] == "audio"
    ]
