"""The tab of a single photo: its components, and where they stand."""

from __future__ import annotations

from typing import Any

import gradio as gr

from . import scripts
from .compat import HIDDEN
from .host import FORMATS, Host
from .options import Options
from .touchup import Steps


class PhotoTab:
    """Components, made by `build`."""

    def __init__(self, host: Host, options: Options) -> None:
        self._host, self._options, self.steps = host, options, Steps()

    def build(self) -> None:
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                self._build_input()
            with gr.Column(scale=2, min_width=340, elem_id="nulie_found"):
                self._build_view()
        if self._host.targets:
            self._build_exchange()

    def _build_input(self) -> None:
        self.file = gr.File(
            label="Photo (JPEG, PNG, WebP, TIFF, ...)", file_count="multiple", height=150,
            elem_id="nulie_photo",
        )  # fmt: skip
        self._options.first()
        with gr.Row(elem_id="nulie_go"):
            self.enhance = gr.Button("Enhance", variant="primary", elem_id="nulie_enhance")
            self.stop = gr.Button("Stop", variant="stop", elem_id="nulie_stop", interactive=False)
        self._options.more()

    def _build_view(self) -> None:
        self.view = gr.HTML(scripts.EMPTY, elem_id="nulie_view")
        self.status = gr.HTML("", elem_id="nulie_status")
        self.take = gr.Button("nulie take", elem_id="nulie_take", visible=HIDDEN)
        with gr.Row(visible=False, elem_id="nulie_keep") as self.keep:
            self.save = gr.Button("Save at full size", variant="primary", elem_id="nulie_save")
            self.again = gr.Button("Use result as input", elem_id="nulie_output_to_input")
        self.saved = gr.HTML("", elem_id="nulie_saved", visible=False)
        # The score's curve during a search, the variants after it.
        self.course = gr.HTML("", elem_id="nulie_course", visible=False)
        self.variant = gr.Radio(
            choices=[], label="Variant shown", visible=False, elem_id="nulie_variant"
        )
        self.words = gr.HTML("", elem_id="nulie_words", visible=False)
        with _folded("Touch up", "nulie_touchup") as self.touchup:
            self.steps.build()
        with _folded("Recipe as a file", "nulie_recipe_box") as self.recipe_box:
            self.recipe = gr.Textbox(
                label="Recipe (JSON)", lines=3, elem_id="nulie_recipe", interactive=True
            )
            self.apply = gr.Button("Apply this recipe", elem_id="nulie_recipe_apply")
            self.recipe_file = gr.File(
                label="Apply a recipe file (JSON, or a picture saved by nulie)",
                elem_id="nulie_recipe_file", height=140,
            )  # fmt: skip
        with _folded("Format and history", "nulie_format_box") as self.format_box:
            self.format = gr.Dropdown(
                choices=list(FORMATS), value=self._host.format,
                label="Format to save as", elem_id="nulie_format",
            )  # fmt: skip
            self.quality = gr.Slider(
                0, 100, value=0, step=1, elem_id="nulie_quality",
                label="Quality of JPEG, WebP, AVIF (0: as the photo, at least 90)",
            )  # fmt: skip
            if self._host.open_folder:
                self.open = gr.Button("Open the results folder", elem_id="nulie_open_folder")
            self.history = gr.HTML("", elem_id="nulie_history")
        with _folded("How it was found", "nulie_how") as self.how:
            self.terms = gr.HTML("", elem_id="nulie_terms")
            self.growth = gr.HTML("", elem_id="nulie_growth")

    def _build_exchange(self) -> None:
        """What the page around needs; the page on its own has none of it."""
        with gr.Row(elem_id="nulie_host_buttons"):
            self.send = {
                target: gr.Button(f"Send to {target}", elem_id=f"nulie_send_to_{target}")
                for target in self._host.targets
            }
        self.note = gr.Textbox("", elem_id="nulie_note", label="nulie note", visible=HIDDEN)

    @property
    def results(self) -> list[Any]:
        """What changes with a new result, beside the view."""
        return [
            *(self.view, self.status, self.saved, self.keep, self.course, self.variant, self.words),
            *(self.touchup, self.recipe_box, self.format_box, self.recipe, self.how),
            *(self.terms, self.growth, *self.steps.outputs),
        ]

    @property
    def of_photo(self) -> list[Any]:
        """What is seen as soon as there is a photo, but not during a search."""
        return [self.keep, self.touchup, self.recipe_box, self.format_box]

    @property
    def of_recipe(self) -> list[Any]:
        """What changes with the recipe on the sliders."""
        return [
            *(self.view, self.status, self.saved, self.words, self.recipe, self.terms, self.variant)
        ]


def _folded(title: str, elem_id: str) -> Any:
    """Seen once there is a photo, or a result."""
    return gr.Accordion(title, open=False, visible=False, elem_id=elem_id)
