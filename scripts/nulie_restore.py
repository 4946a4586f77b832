"""NUlIE restore among the operations of Extras: JPEG's traces, noise, printed pages, size."""

import gradio as gr

# The base classes by their modules: the web UI registers every class it finds in here.
from modules import extensions, scripts_postprocessing, ui_components

from nulie import webui
from nulie.webui import controls, hooks

copies = []


class NulieRestore(scripts_postprocessing.ScriptPostprocessing):
    name = f"{controls.NAME} restore"
    order = 900
    """Before the web UI's own upscaling: what is wrong would be enlarged."""

    def ui(self):
        copies.append(self)
        prefix = "nulie_restore" if len(copies) == 1 else f"nulie_restore{len(copies)}"
        with ui_components.InputAccordion(False, label=self.name) as enabled:
            components = controls.build(gr, controls.OF_RESTORING, prefix)
        return {"enabled": enabled, **components}

    def process(self, pp, **values):
        hooks.restore_extra(pp, values)


if not webui.is_first(__file__, extensions.active()):
    del NulieRestore
