"""The settings page; and the web UI's modules handed to nulie, on which the other scripts rely."""

from pathlib import Path

import gradio as gr
from modules import (
    call_queue,
    devices,
    errors,
    extensions,
    paths,
    script_callbacks,
    scripts,
    sd_models,
    shared,
)

from nulie import webui
from nulie.webui import axes
from nulie.webui.options import OPTIONS, PREFIX, SECTION

try:
    import modules_forge  # noqa: F401  # a module called backend alone may be anybody's

    try:
        from backend import memory_management
    except ImportError:  # reForge, Forge Classic
        from ldm_patched.modules import model_management as memory_management
except ImportError:
    memory_management = None


def results():
    opts = shared.opts
    folder = Path(opts.outdir_samples or opts.outdir_extras_samples)
    return (folder if folder.is_absolute() else Path(paths.data_path) / folder) / "nulie"


def register():
    for option in OPTIONS:
        info = shared.OptionInfo(
            option.default,
            option.label,
            getattr(gr, option.component),
            dict(option.arguments),
            section=SECTION,
        )
        if option.info:
            info.info(option.info)
        if option.reload:
            info.needs_reload_ui()
        shared.opts.add_option(PREFIX + option.name, info)
    # Here, when all scripts are loaded: a callback for it alone would be one more on the page.
    for script in scripts.scripts_data:
        if script.module.__name__ == "xyz_grid.py":
            axes.add(script.module)


if webui.is_first(__file__, extensions.active()):
    webui.connect(
        webui.WebUI(
            shared=shared,
            devices=devices,
            sd_models=sd_models,
            queue_lock=call_queue.queue_lock,
            report=errors.report,
            models=Path(paths.models_path),
            results=results,
            memory=memory_management,
        )
    )
    script_callbacks.on_ui_settings(register)
else:
    folder = Path(__file__).resolve().parents[1]
    errors.report(f"NUlIE is installed twice; remove {folder}, which is left out")
