"""nulie's routes in the web UI's API, where that is switched on."""

from modules import extensions, script_callbacks, shared

from nulie import webui


def add_routes(_page, app):
    if shared.cmd_opts.api or getattr(shared.cmd_opts, "nowebui", False):
        # Most web UIs start without their API, and need not wait for it.
        from nulie.webui import api

        api.add(app, webui.current, shared.cmd_opts.api_auth)


if webui.is_first(__file__, extensions.active()):
    script_callbacks.on_app_started(add_routes)
