"""NUlIE among the operations of Extras, and of txt2img and img2img where the settings say so."""

import gradio as gr

# The base classes by their modules: the web UI registers every class it finds in here.
from modules import extensions, scripts_postprocessing, ui_components

from nulie import webui
from nulie.webui import controls, hooks

copies = []


class NulieOperation(scripts_postprocessing.ScriptPostprocessing):
    name = controls.NAME
    order = 3500
    """After upscaling and the restoring of faces."""

    def ui(self):
        # Called once for each tab that has the operation; ids may not repeat in a page.
        copies.append(self)
        prefix = "nulie_extras" if len(copies) == 1 else f"nulie_extras{len(copies)}"
        # No id of ours for the box: the web UI finds its boxes by ids that it numbers itself.
        with ui_components.InputAccordion(False, label=controls.NAME) as enabled:
            components = controls.build(gr, controls.CONTROLS, prefix)
        return {"enabled": enabled, **components}

    def process(self, pp, **values):
        hooks.enhance_extra(pp, values)


if not webui.is_first(__file__, extensions.active()):
    del NulieOperation
