"""The messages of a Chatbot's history, as the tests of the conversation write them."""

from typing import Any


def clip(path: str) -> dict[str, Any]:
    return {"type": "file", "file": {"path": path, "meta": {"_type": "gradio.FileData"}}}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts), "metadata": None, "options": None}


def assistant(text: str, **metadata: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [words(text)], "metadata": metadata, "options": None}
