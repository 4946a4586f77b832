"""NUlIE for generated images, in txt2img and img2img: off until its box is ticked."""

import gradio as gr

# The base class by its module: the web UI registers every class it finds in here.
from modules import extensions, scripts, shared, ui_components

from nulie import webui
from nulie.webui import controls, hooks


class NulieGenerated(scripts.Script):
    create_group = False
    """Around the box, which is one already: each component makes the page slower to load."""

    def title(self):
        return controls.NAME

    def show(self, is_img2img):
        # The operation of Extras may be switched on for these tabs, and does it then.
        both = controls.NAME in getattr(shared.opts, "postprocessing_enable_in_main_ui", [])
        return False if both else scripts.AlwaysVisible

    def ui(self, is_img2img):
        prefix = "nulie_img2img" if is_img2img else "nulie_txt2img"
        with ui_components.InputAccordion(False, label=controls.NAME, elem_id=prefix) as enabled:
            components = controls.build(gr, controls.OF_GENERATION, prefix)
        self.infotext_fields = controls.paste_fields(enabled, components, is_img2img=is_img2img)
        self.paste_field_names = list(controls.PASTED)
        return [enabled, *controls.placed(components)]

    def process(self, p, *values):
        hooks.note_plan(p, by_name(values))

    def postprocess_image_after_composite(self, p, pp, *values):
        hooks.enhance_generated(p, pp, by_name(values))


if not hasattr(scripts.Script, "postprocess_image_after_composite"):
    NulieGenerated.postprocess_image = NulieGenerated.postprocess_image_after_composite


if not webui.is_first(__file__, extensions.active()):
    del NulieGenerated


def by_name(values):
    return dict(zip(["enabled", *controls.PLACES], values))  # noqa: B905
