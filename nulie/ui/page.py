"""The page as a whole."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..drawing import CSS
from . import help, scripts
from .batch import Batch
from .compat import blocks, quiet, script
from .host import Host
from .keeping import Keeping
from .options import Options
from .photo_tab import PhotoTab
from .session import Sessions
from .single import Single


def build(host: Host) -> Any:
    """The page as gradio Blocks, ready for `serve` or `mount`."""
    sessions = Sessions()
    with blocks("nulie", host.theme) as page:
        # A style element inside the page goes wherever the page goes.
        gr.HTML(
            f"<style>{CSS}{scripts.FRAMED if host.targets else ''}</style>"
            + (help.HEADING if host.heading else "")
        )
        state = gr.State(None)
        options = Options(host)
        photo, batch = PhotoTab(host, options), Batch(host, state, sessions, options)
        with gr.Tabs(elem_id="nulie_tabs"):
            with gr.Tab("Photo", elem_id="nulie_tab_photo"):
                photo.build()
            with gr.Tab("Batch", elem_id="nulie_tab_batch"):
                batch.build()
            with gr.Tab("Help", elem_id="nulie_tab_help"):
                gr.HTML(help.HELP)
        Single(host, state, sessions, options, photo).connect()
        Keeping(host, state, photo).connect()
        batch.connect()
        if host.targets:
            page.load(None, None, None, **script(scripts.READY), **quiet(queue=False))
    return page
