"""The page as a whole."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..drawing import CSS
from . import words
from .batch import Batch
from .compat import blocks, quiet, script
from .host import Host
from .options import Options
from .session import Sessions
from .single import Single


def build(host: Host) -> Any:
    """The page as gradio Blocks, ready for `serve` or `mount`."""
    sessions = Sessions()
    with blocks("nulie", host.theme) as page:
        # A style element inside the page goes wherever the page goes.
        gr.HTML(
            f"<style>{CSS}{words.FRAMED if host.targets else ''}</style>"
            + (words.HEADING if host.heading else "")
        )
        state = gr.State(None)
        options = Options(host)
        single = Single(host, state, sessions, options)
        batch = Batch(host, state, sessions, options)
        with gr.Tabs(elem_id="nulie_tabs"):
            with gr.Tab("Photo", elem_id="nulie_tab_photo"):
                single.build()
            with gr.Tab("Batch", elem_id="nulie_tab_batch"):
                batch.build()
            with gr.Tab("Help", elem_id="nulie_tab_help"):
                gr.HTML(words.HELP)
        single.connect()
        batch.connect()
        if host.targets:
            page.load(None, None, None, **script(words.READY), **quiet(queue=False))
    return page
