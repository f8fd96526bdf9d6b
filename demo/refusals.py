"""What the engine on this machine says where it makes no reply: its sentences, its error.

It knows which exception means that the memory is full, and no model.
"""

import logging

import torch

from demo.engine import NOTHING, EngineError, minutes_of
from demo.messages import Sentences

SENTENCES: Sentences = {
    "nothing": NOTHING,
    "too_long": (
        "This conversation is {tokens} tokens long, and the model takes {context} with its reply: "
        "about {minutes:.1f} minutes of audio in all. Send a shorter clip or text, undo a turn, or "
        "start a new conversation.",
        "这段对话有 {tokens} 个词元，而模型连同回复最多容纳 {context} 个："
        "总共约 {minutes:.1f} 分钟音频。请发送更短的音频或文字、撤销一轮，或开始新的对话。",
    ),
    "out_of_memory": (
        "The {device} ran out of memory on this conversation of {tokens} tokens. Send a shorter "
        "clip or text, or start a new conversation; the model is ready for the next request.",
        "处理这段 {tokens} 个词元的对话时，{device} 内存不足。请发送更短的音频或文字，"
        "或开始新的对话；模型仍可继续使用。",
    ),
    "failed": (
        "The model failed on this conversation ({error}); the terminal shows the details.",
        "模型在处理这段对话时出错（{error}）；详情见终端。",
    ),
    "closed": ("The model has been shut down.", "模型已关闭。"),
}

log = logging.getLogger(__name__)


class LocalError(EngineError):
    """The model on this machine cannot make the reply."""

    sentences = SENTENCES


def too_long(tokens: int, context: int) -> LocalError:
    """A conversation leaves no room for a reply to it."""
    return LocalError("too_long", tokens=tokens, context=context, minutes=minutes_of(context))


def explained(error: Exception, device: str, tokens: int) -> LocalError:
    """What failed in a conversation of so many tokens, in a sentence and without its traceback."""
    if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
        return LocalError("out_of_memory", device=device, tokens=tokens)
    log.error("A reply failed", exc_info=error)
    return LocalError("failed", error=f"{type(error).__name__}: {error}")
