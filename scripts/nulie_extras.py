"""NUlIE and NUlIE restore among the operations of Extras, and of txt2img and img2img where the
settings say so."""

from collections import Counter

import gradio as gr

# The base classes by their modules: the web UI registers every class it finds in here.
from modules import extensions, scripts_postprocessing, ui_components

from nulie import webui
from nulie.webui import controls, hooks

copies = Counter()


def build(name, wanted, prefix):
    # Called once for each tab that has the operation; ids may not repeat in a page.
    copies[prefix] += 1
    number = copies[prefix] if copies[prefix] > 1 else ""
    # No id of ours for the box: the web UI finds its boxes by ids that it numbers itself.
    with ui_components.InputAccordion(False, label=name) as enabled:
        components = controls.build(gr, wanted, f"{prefix}{number}")
    return {"enabled": enabled, **components}


class NulieOperation(scripts_postprocessing.ScriptPostprocessing):
    name = controls.NAME
    order = 3500
    """After upscaling and the restoring of faces."""

    def ui(self):
        return build(self.name, controls.CONTROLS, "nulie_extras")

    def process(self, pp, **values):
        hooks.enhance_extra(pp, values)


class NulieRestore(scripts_postprocessing.ScriptPostprocessing):
    name = f"{controls.NAME} restore"
    order = 900
    """Before the web UI's own upscaling: what is wrong would be enlarged."""

    def ui(self):
        return build(self.name, controls.OF_RESTORING, "nulie_restore")

    def process(self, pp, **values):
        hooks.restore_extra(pp, values)


if not webui.is_first(__file__, extensions.active()):
    del NulieOperation, NulieRestore
