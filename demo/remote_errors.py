"""What a remote engine says where it gets no reply: its sentences, its error.

It knows which exception of the HTTP client means what, and no server by name.
"""

import re

from httpx2 import HTTPError
from openai import APIConnectionError, APIStatusError

from demo.engine import NOTHING, EngineError, EngineInfo, minutes_of
from demo.messages import Sentences
from demo.wanted import host_of

REASON_CHARACTERS = 300
KEY_CHARACTERS = 8  # what is shorter is no secret and may be in any word
TOO_LONG = re.compile(r"context length|max_model_len|maximum model length|too long|longer than")
REPLY = re.compile(r"max_(completion_)?tokens")
TOO_MANY = re.compile(r"at most (\d+) audio", re.IGNORECASE)

SENTENCES: Sentences = {
    "nothing": NOTHING,
    "unreachable": (
        "The model's server cannot be reached ({server}). Nothing is lost; please try again in a "
        "moment.",
        "无法连接模型服务器（{server}）。内容没有丢失，请稍后重试。",
    ),
    "broke_off": (
        "The model's server ({server}) broke off in the middle of this reply. Press retry to ask "
        "again.",
        "模型服务器（{server}）在回复途中中断。请点击重试重新提问。",
    ),
    "key": (
        "The model's server ({server}) refuses the API key. The host of this page sets it in the "
        "environment variable that --api-key-env names.",
        "模型服务器（{server}）拒绝了 API 密钥。"
        "本页的管理员应在 --api-key-env 指定的环境变量中设置它。",
    ),
    "not_served": (
        "{server} does not serve {model}; it serves {served}. The host of this page names one of "
        "them with --model.",
        "{server} 不提供 {model}，它提供的是 {served}。本页的管理员应通过 --model 指定其中之一。",
    ),
    "too_long": (
        "This conversation is too long for the model's server, which takes {context} tokens with "
        "the reply: about {minutes:.1f} minutes of audio in all. Send a shorter clip or text, undo "
        "a turn, or start a new conversation.",
        "这段对话对模型服务器来说太长：连同回复最多 {context} 个词元，总共约 {minutes:.1f} 分钟"
        "音频。请发送更短的音频或文字、撤销一轮，或开始新的对话。",
    ),
    "reply_too_long": (
        "The model's server refused the length of the reply: {reason} Choose a smaller number of "
        "new tokens in the settings.",
        "模型服务器不接受该回复长度：{reason} 请在设置中减小新词元的数量。",
    ),
    "too_many_clips": (
        "The model's server takes {most} clips or parts of clips in a conversation. Undo a turn, "
        "send shorter clips, or start a new conversation.",
        "模型服务器每段对话最多接受 {most} 段音频或分段。请撤销一轮、发送更短的音频，"
        "或开始新的对话。",
    ),
    "overloaded": (
        "The model's server has too much to do just now. Nothing is lost; please try again in a "
        "moment.",
        "模型服务器目前过于繁忙。内容没有丢失，请稍后重试。",
    ),
    "refused": (
        "The model's server ({server}) refused this request: {reason}",
        "模型服务器（{server}）拒绝了该请求：{reason}",
    ),
    "failed": (
        "The model's server failed on this request ({error}). Please try again.",
        "模型服务器处理该请求时出错（{error}）。请重试。",
    ),
    "no_raw": (
        "A raw prompt needs a model on this machine; a server takes conversations only.",
        "原始提示词需要本机上的模型；服务器只接受对话。",
    ),
    "closed": ("The page has been shut down.", "页面已关闭。"),
}


class RemoteError(EngineError):
    """A server did not make the reply."""

    sentences = SENTENCES

    @property
    def gone(self) -> bool:
        """Whether the server should not be asked before it answers a check."""
        return self.key in ("unreachable", "broke_off")

    @property
    def elsewhere(self) -> bool:
        """Whether it lies in how this server is set up, and another may be set up well."""
        return self.key in ("key", "not_served")

    @property
    def again(self) -> bool:
        """Whether the same request may get its reply on another try."""
        return self.key in ("unreachable", "overloaded", "failed")


def explained(error: Exception, server: str, info: EngineInfo, begun: bool) -> RemoteError:
    """What went wrong, in a sentence; `begun` says that words of the reply had come."""
    server = host_of(server)
    if begun:
        return RemoteError("broke_off", server=server)
    if isinstance(error, APIConnectionError | HTTPError):  # also where it took too long
        return RemoteError("unreachable", server=server)
    if not isinstance(error, APIStatusError):
        return RemoteError("failed", error=type(error).__name__)
    match error.status_code:
        case 401 | 403:
            return RemoteError("key", server=server)
        case 404:
            return RemoteError("not_served", server=server, model=info.model, served="?")
        case 429 | 503:
            return RemoteError("overloaded")
        case status if status >= 500:
            return RemoteError("failed", error=f"HTTP {status}")
    return _refused(error, server, info)


def _refused(error: APIStatusError, server: str, info: EngineInfo) -> RemoteError:
    reason = _reason(error)
    if found := TOO_MANY.search(reason):
        return RemoteError("too_many_clips", most=found[1])
    if REPLY.search(reason):
        return RemoteError("reply_too_long", reason=reason[:REASON_CHARACTERS])
    if TOO_LONG.search(reason) and info.context_tokens:
        context = info.context_tokens
        return RemoteError("too_long", context=context, minutes=minutes_of(context))
    return RemoteError("refused", server=server, reason=reason[:REASON_CHARACTERS])


def _reason(error: APIStatusError) -> str:
    """The server's own words, in one line, without the key that some say back."""
    detail = error.body.get("detail") if isinstance(error.body, dict) else None  # FastAPI's place
    told = detail if isinstance(detail, str) else error.message
    reason = re.sub(r"^Error code: \d+ - ", "", " ".join(told.split()))
    key = error.request.headers.get("authorization", "").removeprefix("Bearer ")
    return reason.replace(key, "…") if len(key) >= KEY_CHARACTERS else reason
