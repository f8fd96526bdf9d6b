"""The API: `/chat` keeps a session's conversation, `/generate` answers one that it is given.

Both stream the reply so far and end with the whole. Their docstrings are what the API page and
MCP clients read. The page's own handlers are not part of the API.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import api

from demo.conversation import check
from demo.engine import Options
from demo.ui.history import History, said, user_turn
from demo.ui.kit import Kit
from demo.ui.options import FIELDS, options_of
from demo.ui.strings import PageError
from demo.ui.turn import Reply, answer, paced, reply


def build_api(kit: Kit) -> None:
    """Adds the two endpoints to the page that is being built."""
    _build_chat(kit)
    _build_generate(kit)


def _build_chat(kit: Kit) -> None:
    def chat(
        message: dict[str, Any],
        system_prompt: str | None = None,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        repetition_penalty: float | None = None,
        seed: int | None = None,
        history: History | None = None,
        request: gr.Request | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Answer one turn of a conversation about sound, and remember it for this session.

        Args:
            message: {"text": "…", "files": [clips]}; a clip alone is a spoken turn.
            system_prompt: what the model is told before the conversation.
            max_new_tokens: the longest reply, in tokens.
            temperature: 0 always takes the likeliest token.
            top_p: sample from the likeliest tokens that make up this share.
            top_k: sample from this many of the likeliest tokens.
            repetition_penalty: above 1 makes repetition rarer.
            seed: makes sampling repeatable.
            history: the session's conversation so far, which Gradio keeps.
            request: who asks, as Gradio knows it.

        Returns:
            The reply so far, as Markdown text, and at the end the whole reply.
        """
        options = (max_new_tokens, temperature, top_p, top_k, repetition_penalty, seed)
        turn = user_turn(message.get("text") or "", message.get("files") or [])
        asked = [*(history or []), *turn]
        if not turn:
            raise PageError("nothing_to_send")
        desk = kit.desk(request, kit.patience)
        for text in _texts(reply(asked, system_prompt, options_given(*options), desk)):
            # A turn that is cancelled before its first word is not in the conversation.
            yield text, [*asked, *said(text)] if text else gr.skip()

    inputs, text, button = _hidden_parts()
    state = gr.State([])
    button.click(
        chat,
        [*inputs, state],
        [text, state],
        api_name="chat",
        concurrency_limit=None,
    )


def _hidden_parts() -> tuple[list[Component], gr.Textbox, gr.Button]:
    """What `/chat` takes, what it gives, and what an event of it hangs on; never on the page."""
    with gr.Row(visible=False):
        # Of any type: what is in a file says whether it is a sound, not its name.
        message = gr.MultimodalTextbox(label="message", file_count="multiple", visible=False)
        system = gr.Textbox(value=None, label="system_prompt", visible=False)
        numbers = [gr.Number(value=None, label=name, visible=False) for name in FIELDS]
        text = gr.Textbox(label="reply", visible=False)
        button = gr.Button(visible=False)
    return [message, system, *numbers], text, button


def _build_generate(kit: Kit) -> None:
    def generate(
        conversation: list[dict[str, Any]],
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        repetition_penalty: float | None = None,
        seed: int | None = None,
        request: gr.Request | None = None,
    ) -> Iterator[str]:
        """Answer a whole conversation in the form of Qwen2-Audio's model card; nothing is kept.

        Args:
            conversation: turns [{"role": "user", "content": [{"type": "audio", "audio_url": …},
                {"type": "text", "text": "…"}]}, {"role": "assistant", "content": "…"}, …]; an
                audio_url is an http(s) URL, a data: URL or an uploaded file (handle_file).
            max_new_tokens: the longest reply, in tokens.
            temperature: 0 always takes the likeliest token.
            top_p: sample from the likeliest tokens that make up this share.
            top_k: sample from this many of the likeliest tokens.
            repetition_penalty: above 1 makes repetition rarer.
            seed: makes sampling repeatable.
            request: who asks, as Gradio knows it.

        Returns:
            The reply so far, as Markdown text, and at the end the whole reply.
        """
        options = (max_new_tokens, temperature, top_p, top_k, repetition_penalty, seed)
        asked = check(conversation)
        desk = kit.desk(request, kit.patience)
        yield from _texts(answer(asked, options_given(*options), desk))

    api(generate, api_name="generate", concurrency_limit=None)


def options_given(*values: Any) -> Options:
    return options_of(**dict(zip(FIELDS, values, strict=True)))


def _texts(replies: Iterable[Reply]) -> Iterator[str]:
    for now in paced(replies):
        yield now.text
