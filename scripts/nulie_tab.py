"""The tab, which is a frame, and the way of its pictures to other tabs."""

import gradio as gr
from modules import extensions, script_callbacks, shared, ui_tempdir, util

from nulie import webui
from nulie.webui import frame
from nulie.webui.frame import TARGETS, Exchange

try:
    from modules import infotext_utils
except ImportError:  # before 1.8
    from modules import generation_parameters_copypaste as infotext_utils

FILLED = ("Prompt", "Size-1", "Size-2")
"""Controls, by their names in an infotext, that are set with an image."""

incoming = Exchange()
outgoing = Exchange()


def tab():
    """Few components: each makes the web UI's page slower to load. What brings pictures here are
    buttons that `javascript/nulie.js` makes."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        place = gr.HTML(frame.PLACE, elem_id="nulie_frame")
        for target in TARGETS:
            add_button(target, place)
    return [(blocks, "NUlIE", "nulie")]


def add_button(target, place):
    """From the frame to another tab. Not for all tabs in one: components of Forge's for images
    break when they are told to stay as they are."""
    there = infotext_utils.paste_fields[target]
    # Extras has none.
    fields = {name: component for component, name in there["fields"] or () if name in FILLED}

    def fetch(ticket):
        image, text = outgoing.take(ticket) or (None, "")
        if image is None:
            raise gr.Error("The picture is gone; send it again.")
        if not fields:
            return image  # gradio takes a list for one component as its value
        values = {"Prompt": text} if text else {}
        if target == "img2img" and shared.opts.send_size:
            values["Size-1"], values["Size-2"] = image.size
        return [image, *(values.get(name, gr.update()) for name in fields)]

    button = gr.Button(f"nulie fetch {target}", elem_id=f"nulie_fetch_{target}")
    button.do_not_save_to_config = True
    button.click(
        fn=fetch,
        _js="nulieFetch",
        inputs=[place],  # for the script's ticket
        outputs=[there["init_img"], *fields.values()],
        show_progress=False,
    ).then(fn=None, _js="nuliePaste", inputs=None, outputs=None)


def mount(demo, app):
    if demo is not None:
        app.mount(frame.PATH, frame.Frame(app, lambda: make_page(demo)))


def make_page(demo):
    """All that the page needs is imported now, and not at the web UI's start."""
    from nulie.webui.page import page

    opener = None if shared.cmd_opts.hide_ui_dir_config else getattr(util, "open_folder", None)
    blocks = page(
        webui.current(),
        incoming,
        outgoing,
        theme=getattr(shared, "gradio_theme", None),
        open_folder=opener and (lambda folder: opener(str(folder))),
        saved=lambda blocks, path: ui_tempdir.register_tmp_file(blocks, str(path)),
    )
    return frame.application(blocks, demo, incoming)


if webui.is_first(__file__, extensions.active()):
    script_callbacks.on_ui_tabs(tab)
    script_callbacks.on_app_started(mount)
