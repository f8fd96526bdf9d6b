"""The components that both tabs have, made alike."""

from html import escape
from typing import Any

import gradio as gr

SOUNDS = ["audio", "video", ".amr", ".opus", ".mkv", ".m4a", ".aac", ".flac", ".aif", ".aiff"]
SECRET = "qwen2-audio-demo"  # fixed, so that a restarted server can read what a browser kept


def build_chatbot(name: str, title: Any, empty: Any) -> gr.Chatbot:
    """A chat whose messages stand alone, so that an edit of the words leaves the clips."""
    return gr.Chatbot(
        label=title,
        show_label=False,
        placeholder=empty,
        buttons=["copy", "copy_all"],
        editable="user",
        group_consecutive_messages=False,
        allow_tags=False,
        layout="bubble",
        height="auto",
        elem_id=f"{name}-chat",
        elem_classes="chat",
    )


def kept_state(name: str) -> gr.BrowserState:
    """Where the visitor's browser keeps the tab's conversation over a reload."""
    return gr.BrowserState([], storage_key=f"qwen2-audio-{name}", secret=SECRET)


def told(problem: str) -> str:
    """What is wrong, as the alert beside a tab's entry shows it."""
    return f'<p class="problem" role="alert">{escape(problem)}</p>'
