"""The page: head, two tabs of conversation and one of batches, their settings, the API."""

import gradio as gr

from demo.audio import Ear
from demo.loading import Loading
from demo.messages import Message
from demo.settings import Settings
from demo.ui.analysis import build_analysis
from demo.ui.api import build_api
from demo.ui.batch import build_batch
from demo.ui.batch_api import build_batch_api
from demo.ui.edge import Page
from demo.ui.header import build_header, follow_loading
from demo.ui.kit import Kit
from demo.ui.panel import build_panel, tell_memory
from demo.ui.parts import kept_state
from demo.ui.strings import label
from demo.ui.voice import build_voice
from demo.watching import Watch


def build_page(
    loading: Loading, ear: Ear, settings: Settings, notice: Message, watch: Watch | None = None
) -> gr.Blocks:
    """The whole page, ready for `launch`; it opens before the engine is there."""
    kit = Kit(loading, ear, settings, notice, watch or Watch())
    with Page(
        kit,
        title="Qwen2-Audio",
        analytics_enabled=False,
        fill_width=True,
    ) as blocks:
        state, timer = build_header()
        # Outside the tabs, which come into the page only when they are opened.
        voice_kept, analysis_kept = kept_state("voice"), kept_state("analysis")
        panel = build_panel()  # shown below the tabs, which read it
        with gr.Tabs(elem_classes="rooms"):
            build_voice(kit, panel, voice_kept, blocks)
            build_analysis(kit, panel, analysis_kept, blocks)
            build_batch(kit, panel)
        panel.area.render()
        tell_memory(kit, panel)
        follow_loading(kit, blocks, state, timer, panel)
        gr.HTML(f'<p class="small">{label("keeping")}</p>', padding=False)
        build_api(kit)
        build_batch_api(kit)
    return blocks
