"""What the page's server says while it works, in the language that the browser asked for.

The labels lie in `demo.ui.labels`; here they become Gradio's I18n, by which the browser translates
them.
"""

from typing import Any, ClassVar

import gradio as gr

from demo.messages import Language, Sentences, UserError, language_of
from demo.settings import Settings
from demo.ui.labels import BUILT_IN, TEXTS

SENTENCES: Sentences = {
    "nothing_to_send": (
        "There is nothing to send yet: type a question, attach a clip or record one.",
        "还没有可发送的内容：请输入问题、添加音频或录音。",
    ),
    "memory": (
        "Memory on {device}: {weights} for the weights, {clips} of {clips_most} for clips heard, "
        "{conversations} of {conversations_most} for conversations kept.",
        "{device} 上的内存：权重 {weights}，已听音频 {clips}（上限 {clips_most}），"
        "保留的对话 {conversations}（上限 {conversations_most}）。",
    ),
    "waiting": ("Waiting for the model…", "正在等待模型……"),
    "in_line": (
        "Waiting for the model, with {ahead} before you…",
        "正在等待模型，您前面还有 {ahead} 个请求……",
    ),
    "still_loading": (
        "The model is not ready yet; your turn waits for it. {status}",
        "模型尚未就绪，您的消息会等它就绪后再处理。{status}",
    ),
    "request": (" (request {id})", "（请求 {id}）"),
    "listening": ("Listening and thinking…", "正在聆听和思考……"),
    "stopped": ("Stopped before the first word.", "在给出第一个字之前已停止。"),
    "silent": ("The model had nothing to say to that.", "模型对此没有作出回复。"),
    "gone": (
        "{name}: this clip is no longer on the server. Please send it again to ask about it.",
        "{name}：服务器上已没有这段音频，如需继续提问请重新发送。",
    ),
    "gone_of_several": (
        "{name}: this clip is no longer on the server. Please load the page again: the "
        "conversation is kept without it and goes on.",
        "{name}：服务器上已没有这段音频。请重新加载页面：对话会保留（不含该音频）并可继续。",
    ),
    "failed": (
        "Something went wrong on the server; its terminal says what. Please try again.",
        "服务器出了问题，原因见其终端。请重试。",
    ),
    "batch_loading": (
        "The model is not ready yet; the batch waits for it. {status}",
        "模型尚未就绪，批处理会等它就绪后再开始。{status}",
    ),
    "batch_progress": ("{done} of {all} done", "已完成 {done} / {all}"),
    "batch_failed": ("{failed} failed", "{failed} 个失败"),
    "batch_seconds": ("about {left} s left", "大约还需 {left} 秒"),
    "batch_minutes": ("about {left} min left", "大约还需 {left} 分钟"),
    "batch_hours": ("about {left:.1f} h left", "大约还需 {left:.1f} 小时"),
    "batch_stopped": ("stopped", "已停止"),
    "batch_some": (
        "Rows {first} to {last} of {all} are shown; the downloads have all that are done.",
        "显示第 {first} 至 {last} 行，共 {all} 行；下载文件包含所有已完成的行。",
    ),
    "batch_table": ("The clips and their replies", "音频及其回复"),
    "batch_clip": ("Clip", "音频"),
    "batch_reply": ("Reply", "回复"),
    "batch_gt": ("Should be", "标准答案"),
    "batch_waiting": ("waiting", "等待中"),
    "batch_silent": ("(no words)", "（无内容）"),
    "batch_wer": (
        "Word error rate: {value:.1%} over {rows} clips with a known text.",
        "词错误率：{value:.1%}（{rows} 段有标准文本的音频）。",
    ),
    "batch_cer": (
        "Character error rate: {value:.1%} over {rows} clips with a known text.",
        "字错误率：{value:.1%}（{rows} 段有标准文本的音频）。",
    ),
    "batch_exact": (
        "Equal replies: {value:.1%} of {rows} clips with a known answer.",
        "回复一致率：{value:.1%}（{rows} 段有标准答案的音频）。",
    ),
    "not_saved": (
        "The replies cannot be given as files, as the server's disk is full or takes none. They "
        "are still here in the table; please tell the host of this page.",
        "服务器磁盘已满或不可写，无法生成回答文件。回答仍在表格中，请告知本页面的管理者。",
    ),
    "session": (
        "This page was opened by another visitor, or by you before you logged in. Please load it "
        "again: the conversation is kept.",
        "此页面由其他访客打开，或是您登录之前打开的。请重新加载页面，对话不会丢失。",
    ),
    "outside": (
        "The file {name} is no upload of yours, or is not there any more: give a clip as "
        "handle_file(path), an http(s) URL or a data: URL.",
        "文件 {name} 不是您上传的，或已不存在：请用 handle_file(路径)、http(s) 网址或 data: 网址"
        "给出音频。",
    ),
    "address": (
        "The page takes files and no addresses: upload the file itself. Programs may give an "
        "address to /chat, /generate and /batch.",
        "本页只接受文件，不接受网址：请上传文件本身。"
        "程序可以把网址交给 /chat、/generate 和 /batch。",
    ),
    "malformed": (
        "What was sent is not of the form that is taken here ({reason}). The API page shows the "
        "form of each call; a clip is an uploaded file (gradio_client's handle_file).",
        "发送的内容格式不符（{reason}）。各接口的格式见 API 页面；"
        "音频应是已上传的文件（gradio_client 的 handle_file）。",
    ),
    "option": (
        "{name} is {value}; it must be a number from {low} to {high}.",
        "{name} 为 {value}，必须是 {low} 到 {high} 之间的数。",
    ),
    "whole": (
        "{name} is {value}; it must be a whole number.",
        "{name} 为 {value}，必须是整数。",
    ),
}


class PageError(UserError):
    """The page or the API was asked for something that it cannot do."""

    sentences: ClassVar[Sentences] = SENTENCES


def label(key: str) -> Any:
    """The text of `key` as the browser will translate it: for labels, values and placeholders."""
    TEXTS[key]  # fail where the mistake is made, not on the page
    return str(gr.I18n()(key))


def i18n(settings: Settings) -> gr.I18n:
    """The translations for the browser; a forced language is given to every browser."""
    english = {key: texts[0] for key, texts in TEXTS.items()}
    chinese = {key: texts[1] for key, texts in TEXTS.items()} | BUILT_IN
    if settings.language == "zh":
        english = chinese
    if settings.language == "en":
        chinese = english
    return gr.I18n(**{"en": english, "zh": chinese, "zh-CN": chinese, "zh-TW": chinese})


def language_for(request: gr.Request | None, settings: Settings) -> Language:
    """In which language the server speaks to the person behind `request`."""
    headers = getattr(request, "headers", None) or {}
    return language_of(headers.get("accept-language"), settings.language)
