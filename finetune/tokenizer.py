"""The preview's tokenizer: Qwen2's rules and Qwen2-Audio's control tokens over a small vocabulary.

A byte-level BPE: every byte is a token, so any text in any language can be read and written.
This module knows nothing of audio or of models.
"""

from collections.abc import Iterable
from tempfile import TemporaryDirectory

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

CONTROL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|AUDIO|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
)


def train_tokenizer(texts: Iterable[str], size: int) -> Qwen2Tokenizer:
    """A tokenizer of at most `size` tokens, control tokens included, learned from `texts`."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.decoder = decoders.ByteLevel()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return _as_qwen2(bpe)


def _as_qwen2(bpe: Tokenizer) -> Qwen2Tokenizer:
    """The same vocabulary in Qwen2's class, so that any server that knows Qwen2 reads it."""
    with TemporaryDirectory() as folder:
        vocab, merges = bpe.model.save(folder)
        return Qwen2Tokenizer(
            vocab=vocab,
            merges=merges,
            unk_token="<|endoftext|>",  # never needed: every byte is a token
            eos_token="<|im_end|>",
            pad_token="<|endoftext|>",
            extra_special_tokens=list(CONTROL_TOKENS),
            model_max_length=8192,
            clean_up_tokenization_spaces=False,
        )
