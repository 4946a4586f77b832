"""The tab, which is a frame, and the buttons that bring pictures there and away from it."""

import gradio as gr
from modules import script_callbacks, shared, ui_components, ui_tempdir, util

from nulie import webui
from nulie.webui import frame
from nulie.webui.exchange import Exchange

try:
    from modules import infotext_utils
except ImportError:  # before 1.8
    from modules import generation_parameters_copypaste as infotext_utils

FRAME = '<div class="nulie-frame" style="min-height:80vh">Loading</div>'

exchange = Exchange()
sources = []
"""Buttons of ours, and the component whose picture each sends here."""
seen = {}


def on_component(component, elem_id=None, **_):
    """Puts a button behind those that send a picture to Extras."""
    if elem_id in ("txt2img_gallery", "img2img_gallery", "extras_gallery", "pnginfo_image"):
        seen[elem_id] = component
    elif elem_id in ("txt2img_send_to_extras", "img2img_send_to_extras", "extras_send_to_extras"):
        tab = elem_id.partition("_")[0]
        tip = "Send image and generation parameters to the NUlIE tab."
        button = ui_components.ToolButton("🪄", elem_id=f"nulie_from_{tab}", tooltip=tip)
        sources.append((button, f"{tab}_gallery"))
    elif elem_id == "extras_tab" and "pnginfo_image" in seen and "pnginfo" not in seen:
        # The last of PNG Info's buttons, whose ids others have as well.
        seen["pnginfo"] = component
        button = gr.Button("Send to NUlIE", elem_id="nulie_from_pnginfo")
        sources.append((button, "pnginfo_image"))


def tab():
    """Few components: each makes the web UI's page slower to load."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.HTML(FRAME, elem_id="nulie_frame")
        with gr.Row(visible=False):
            ticket = gr.Textbox("", elem_id="nulie_ticket", label="nulie ticket")
            bring(ticket)
            send(ticket)
    return [(blocks, "NUlIE", "nulie")]


def bring(ticket):
    """From the galleries and PNG Info to the frame."""

    def keep(image):
        return exchange.give(image) if image is not None else ""

    def keep_chosen(image):
        return keep(infotext_utils.image_from_url_text(image))

    for button, source in sources:
        component = seen.get(source)
        if component is None:
            continue
        gallery = isinstance(component, gr.Gallery)
        button.click(
            fn=keep_chosen if gallery else keep,
            _js="extract_image_from_gallery" if gallery else None,
            inputs=[component],
            outputs=[ticket],
            show_progress=False,
        ).then(fn=None, _js="nulieBring", inputs=[ticket], outputs=None)


def send(ticket):
    """From the frame to other tabs: the picture is fetched, and a button of the web UI's own kind
    pastes it."""
    image = gr.Image(type="pil", image_mode=None, interactive=False, elem_id="nulie_result_image")
    text = gr.Textbox("", elem_id="nulie_result_text", label="nulie result text")
    fetch = gr.Button("nulie fetch", elem_id="nulie_fetch")
    fetch.click(
        fn=exchange.take, _js="nulieFetch", inputs=[ticket], outputs=[image, text],
        show_progress=False,
    ).then(fn=None, _js="nuliePaste", inputs=None, outputs=None)  # fmt: skip
    for target in ("img2img", "inpaint", "extras"):
        for source in (None, text):
            # Without a text of its own, the web UI would paste that of its last job.
            name = f"nulie_sent_to_{target}{'' if source is None else '_text'}"
            if source is not None and target == "extras":
                continue
            infotext_utils.register_paste_params_button(
                infotext_utils.ParamBinding(
                    paste_button=gr.Button(name, elem_id=name),
                    tabname=target,
                    source_image_component=image,
                    source_text_component=source,
                )
            )


def started(demo, app):
    if demo is not None:
        app.mount(frame.PATH, frame.Frame(app, lambda: make(demo)))


def make(demo):
    """The page itself. All that it needs is imported now, and not at the web UI's start."""
    from nulie.webui.page import page

    opener = None if shared.cmd_opts.hide_ui_dir_config else getattr(util, "open_folder", None)
    blocks = page(
        webui.current(),
        exchange,
        theme=getattr(shared, "gradio_theme", None),
        open_folder=opener and (lambda folder: opener(str(folder))),
        saved=lambda blocks, path: ui_tempdir.register_tmp_file(blocks, str(path)),
    )
    return frame.application(blocks, demo)


script_callbacks.on_after_component(on_component)
script_callbacks.on_ui_tabs(tab)
script_callbacks.on_app_started(started)
