"""The tab of several photos: its components, and where they stand."""

from __future__ import annotations

import gradio as gr

from . import saving, words
from .host import Host

SEARCH, APPLY = "search for each photo", "one recipe for all"


class BatchTab:
    """Components, made by `build`."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def build(self) -> None:
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                self.files = gr.File(
                    label="Photos", file_count="multiple", elem_id="nulie_batch_files", height=160
                )
                self.folder = gr.Textbox(
                    label="Or a folder on the server",
                    elem_id="nulie_batch_folder",
                    visible=self._host.folders,
                )
                self.what = gr.Radio(
                    choices=[SEARCH, APPLY], value=SEARCH, label="What to do",
                    elem_id="nulie_batch_what",
                )  # fmt: skip
                self.recipe = gr.Textbox(
                    label="Recipe for all (JSON; empty: the one on the Photo tab)",
                    elem_id="nulie_batch_recipe",
                    lines=2,
                    visible=False,
                )
                with gr.Row():
                    self.format = gr.Dropdown(
                        choices=list(saving.FORMATS),
                        value=self._host.format,
                        label="Format of all",
                        elem_id="nulie_batch_format",
                        min_width=140,
                    )
                    self.quality = gr.Number(
                        value=0, precision=0, minimum=0, maximum=100, min_width=140,
                        label="Quality (0: as the photo)", elem_id="nulie_batch_quality",
                    )  # fmt: skip
                with gr.Row():
                    self.run = gr.Button(
                        "Enhance all", variant="primary", elem_id="nulie_batch_run"
                    )
                    self.stop = gr.Button(
                        "Stop", variant="stop", elem_id="nulie_batch_stop", interactive=False
                    )
                gr.HTML(
                    '<p class="nulie-note">Mode, seconds for each photo, guards, predictor and'
                    " operations are those of the Photo tab.</p>"
                )
            with gr.Column(scale=2, min_width=340):
                self.status = gr.HTML(words.status(""), elem_id="nulie_batch_status")
                self.table = gr.HTML("", elem_id="nulie_batch_table")
                self.zip = gr.HTML("", elem_id="nulie_batch_zip")
