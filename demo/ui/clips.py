"""Which of this machine's files a visitor may have: uploads of their own, and the examples."""

from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from demo.owners import HEADER, Clips, claim

CLIPS = Path(__file__).parents[2] / "assets" / "examples"


def uploads() -> Clips:
    """The uploads; the examples, and what Gradio copies of them there, are everybody's."""
    return Clips(Path(get_upload_folder()), CLIPS)


def marks_of(request: gr.Request | None) -> list[str]:
    """By which somebody's uploads are known; see `demo.owners`."""
    return request.headers.get(HEADER, "").split() if request else []


def available(request: gr.Request | None, path: str) -> str:
    """The clip of this name, if it is still there and belongs to who asks; else "".

    By its own path, as another one may lead elsewhere later.
    """
    return str(uploads().found(path, marks_of(request)) or "")


def handed_out(data: bytes, name: str, request: gr.Request | None) -> str:
    """The path of a new file that belongs to who asks; OSError where the disk takes none."""
    path = save_bytes_to_cache(data, name, str(uploads().folder))
    claim(Path(path), marks_of(request)[:1])
    return path
