"""Checkpoints to measure on: random weights of a given shape, or the preview.

Random weights cost what trained ones cost, and hang on every number that is fed. The tokenizer
and the processor are the preview's; only the number of mel bins follows the shape.
"""

from typing import Any, Literal, cast

import torch
from transformers import AutoConfig, AutoProcessor, Qwen2AudioForConditionalGeneration
from transformers.models.whisper.feature_extraction_whisper import WhisperFeatureExtractor

from demo.checkpoint import PREVIEW

Shape = Literal["preview", "tiny", "100m", "7b"]
SHAPES: dict[str, dict[str, dict[str, int]]] = {
    "tiny": {
        "audio": {"d_model": 48, "encoder_layers": 1, "encoder_attention_heads": 2,
                  "encoder_ffn_dim": 64},
        "text": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                 "num_key_value_heads": 2, "intermediate_size": 96},
    },
    "100m": {
        "audio": {},  # Whisper tiny's encoder, 8 M
        "text": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                 "num_key_value_heads": 12, "intermediate_size": 2304},
    },
    "7b": {  # Qwen/Qwen2-Audio-7B-Instruct's config.json
        "audio": {"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20,
                  "encoder_ffn_dim": 5120, "num_mel_bins": 128},
        "text": {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                 "num_key_value_heads": 32, "intermediate_size": 11008, "vocab_size": 156032},
    },
}  # fmt: skip


def build(shape: Shape, device: str, dtype: torch.dtype, seed: int = 0) -> tuple[Any, Any]:
    """The model, in evaluation mode on `device`, and its processor."""
    processor: Any = AutoProcessor.from_pretrained(PREVIEW)
    if shape == "preview":
        trained: Any = Qwen2AudioForConditionalGeneration.from_pretrained(PREVIEW, dtype=dtype)
        return trained.to(device).eval(), processor
    config = shaped(shape)
    mels = config.audio_config.num_mel_bins
    processor.feature_extractor = WhisperFeatureExtractor(feature_size=mels)
    torch.manual_seed(seed)
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        with torch.device(device):
            model = cast(Any, Qwen2AudioForConditionalGeneration(config)).to(dtype)
    finally:
        torch.set_default_dtype(default)
    return model.eval(), processor


def shaped(shape: Shape) -> Any:
    """The preview's configuration with the widths and depths of `shape`."""
    config: Any = AutoConfig.from_pretrained(PREVIEW)
    for name, value in SHAPES[shape]["audio"].items():
        setattr(config.audio_config, name, value)
    for name, value in SHAPES[shape]["text"].items():
        setattr(config.text_config, name, value)
    layers = config.text_config.num_hidden_layers
    config.text_config.layer_types = ["full_attention"] * layers
    return config
