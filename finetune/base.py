"""An untrained preview checkpoint: a pretrained Whisper encoder under a new, small Qwen2.

`build_base` gives the model and its processor in the shape that every Qwen2-Audio checkpoint
has. This module knows nothing of clips, tasks or training.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    Qwen2AudioConfig,
    Qwen2AudioEncoder,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Config,
    Qwen2Tokenizer,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)
from transformers import Qwen2AudioEncoderConfig as EncoderConfig

CONTEXT_TOKENS = 8192  # as the 7B has it
ENDS_AND_AUDIO = ("<|im_end|>", "<|endoftext|>", "<|AUDIO|>")


@dataclass(frozen=True)
class Shape:
    """The decoder's size; the default fits a checkpoint of 40 MB with Whisper tiny's encoder."""

    width: int = 256
    layers: int = 6
    heads: int = 4
    key_value_heads: int = 4
    mlp: int = 768


def load_encoder(source: str) -> Qwen2AudioEncoder:
    """The encoder in `source`: a folder or hub name of a Qwen2-Audio encoder or of a Whisper."""
    folder = Path(source)
    if folder.is_dir() and "qwen2_audio_encoder" in (folder / "config.json").read_text():
        return Qwen2AudioEncoder.from_pretrained(source, dtype=torch.float32)
    return _from_whisper(WhisperModel.from_pretrained(source, dtype=torch.float32))


def _from_whisper(whisper: WhisperModel) -> Qwen2AudioEncoder:
    config: WhisperConfig = whisper.config
    encoder = Qwen2AudioEncoder(
        EncoderConfig(
            num_mel_bins=config.num_mel_bins,
            encoder_layers=config.encoder_layers,
            encoder_attention_heads=config.encoder_attention_heads,
            encoder_ffn_dim=config.encoder_ffn_dim,
            d_model=config.d_model,
            max_source_positions=config.max_source_positions,
        )
    )
    encoder.load_state_dict(whisper.encoder.state_dict())
    return encoder


def build_processor(tokenizer: Qwen2Tokenizer, mel_bins: int) -> Qwen2AudioProcessor:
    extractor = WhisperFeatureExtractor(feature_size=mel_bins, return_attention_mask=True)
    return Qwen2AudioProcessor(feature_extractor=extractor, tokenizer=tokenizer)


def token_id(tokenizer: Qwen2Tokenizer, token: str) -> int:
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found


def build_model(
    encoder: Qwen2AudioEncoder, tokenizer: Qwen2Tokenizer, shape: Shape
) -> Qwen2AudioForConditionalGeneration:
    """`encoder` under a new projector and decoder; seed torch first for equal weights."""
    end, pad, audio = (token_id(tokenizer, name) for name in ENDS_AND_AUDIO)
    text = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=False,
        eos_token_id=end,
        pad_token_id=pad,
    )
    encoder.config.name_or_path = ""  # else the checkpoint would tell the maker's folder
    config = Qwen2AudioConfig(
        audio_config=encoder.config,
        text_config=text,
        audio_token_index=audio,
    )
    config.tie_word_embeddings = False
    model = Qwen2AudioForConditionalGeneration(config)
    model.model.audio_tower.load_state_dict(encoder.state_dict())
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=160, eos_token_id=[end, pad], pad_token_id=pad
    )
    return model


def build_base(
    encoder: str, tokenizer: Qwen2Tokenizer, shape: Shape = Shape(), seed: int = 1
) -> tuple[Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor]:
    """An untrained model in float32 and its processor; equal seeds give equal weights."""
    torch.manual_seed(seed)
    tower = load_encoder(encoder)
    processor = build_processor(tokenizer, tower.config.num_mel_bins)
    return build_model(tower, tokenizer, shape), processor
