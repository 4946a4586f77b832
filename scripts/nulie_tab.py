"""The tab, and the buttons that bring pictures there and away from it."""

import gradio as gr
from modules import script_callbacks, shared, ui_components, ui_tempdir, util

from nulie import webui
from nulie.ui import hear
from nulie.webui.page import page

try:
    from modules import infotext_utils
except ImportError:  # before 1.8
    from modules import generation_parameters_copypaste as infotext_utils

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


def connect(parts):
    with parts.buttons:
        for target in ("img2img", "inpaint", "extras"):
            button = gr.Button(f"Send to {target}", elem_id=f"nulie_send_to_{target}")
            for text in (None, parts.result_text):
                # Without a text of its own, the web UI would paste that of its last job.
                name = f"nulie_sent_to_{target}{'' if text is None else '_text'}"
                infotext_utils.register_paste_params_button(
                    infotext_utils.ParamBinding(
                        paste_button=gr.Button(name, elem_id=name, visible=False),
                        tabname=target,
                        source_image_component=parts.result_image,
                        source_text_component=text,
                    )
                )
            parts.fill(button).then(
                fn=None, inputs=[parts.result_text], outputs=None, _js=f"nulieSendTo_{target}"
            )
    infotext_utils.add_paste_fields("nulie", parts.input_image, None)


def tab():
    opener = None if shared.cmd_opts.hide_ui_dir_config else getattr(util, "open_folder", None)
    blocks = page(
        webui.current(),
        connect=connect,
        open_folder=opener and (lambda folder: opener(str(folder))),
        saved=lambda path: ui_tempdir.register_tmp_file(shared.demo, str(path)),
    )
    for button, source in sources:
        if source in seen:
            infotext_utils.register_paste_params_button(
                infotext_utils.ParamBinding(
                    paste_button=button, tabname="nulie", source_image_component=seen[source]
                )
            )
    return [(blocks, "NUlIE", "nulie")]


script_callbacks.on_after_component(on_component)
script_callbacks.on_ui_tabs(tab)
script_callbacks.on_app_started(lambda _, app: hear(app))
