"""The page as a whole: built, and served alone or within another server, as each gradio
version wants it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..drawing import CSS
from . import help, scripts
from .batch import Batch
from .compat import MAJOR, blocks, quiet, script, take_over, theme
from .gate import Gate
from .host import LARGEST_UPLOAD, Host
from .keeping import Keeping
from .library_tab import Library
from .options import Options
from .photo_tab import PhotoTab
from .serving import Serving
from .session import Sessions
from .single import Single

AT_ONCE = 64
"""Handlers that run at once; the searches among them wait in their own line."""
WAITING = 256
"""Events that gradio keeps waiting before it refuses more."""
LARGEST = f"{LARGEST_UPLOAD}mb"


def build(host: Host) -> Any:
    """The page as gradio Blocks, ready for `serve` or `mount`."""
    sessions = Sessions()
    with blocks("nulie", host.theme) as page:
        # A style element inside the page goes wherever the page goes.
        gr.HTML(
            f"<style>{CSS}{scripts.FRAMED if host.targets else ''}</style>"
            + (help.HEADING if host.heading else "")
        )
        state: Any = gr.State(None)
        visitor: Any = gr.HTML("", elem_id="nulie_visitor", render=False)
        options = Options(host)
        photo, batch = PhotoTab(host, options), Batch(host, state, visitor, sessions, options)
        library = Library(host, state, visitor, sessions, options)
        with gr.Tabs(elem_id="nulie_tabs"):
            with gr.Tab("Photo", elem_id="nulie_tab_photo"):
                photo.build()
            with gr.Tab("Batch", elem_id="nulie_tab_batch"):
                batch.build()
            with gr.Tab("Library", elem_id="nulie_tab_library"):
                library.build()
            with gr.Tab("Help", elem_id="nulie_tab_help"):
                gr.HTML(help.HELP)
        visitor.render()
        Single(host, state, visitor, sessions, options, photo).connect(page)
        Keeping(host, state, photo).connect()
        batch.connect()
        library.connect()
        if host.targets:
            page.load(None, None, None, **script(scripts.READY), **quiet(queue=False))
    page.leave, page.serving = sessions.leave, Serving(sessions)
    return page


def serve(
    host: Host, *, address: str, port: int, auth: tuple[str, str] | None, browser: bool,
    also: Iterable[str] = (),
) -> Any:  # fmt: skip
    """Launches the page and returns it; the caller must `close` it. Beside the page itself only the
    results folder is served, to pages of this server that call it by its address or by a name that
    it is `also` known by. Raises: OSError when the port is taken."""
    take_over()
    page = build(host)
    gate = Middleware(Gate, address=address, also=also, auth=auth is not None)
    options: dict[str, Any] = {
        "server_name": address, "server_port": port, "auth": auth, "inbrowser": browser,
        "allowed_paths": [str(host.results_folder())], "quiet": True, "prevent_thread_lock": True,
        "app_kwargs": {"middleware": [gate]}, "max_threads": AT_ONCE,
    }  # fmt: skip
    _queue(page)
    if MAJOR >= 4:
        options["max_file_size"] = LARGEST
        page.delete_cache = (3600, 24 * 3600)  # uploads of batches, which may be run again
    if MAJOR >= 6:
        options.update(theme=theme(), footer_links=[])
    else:
        options["show_api"] = False
    app, *_ = page.launch(**options)
    _hear(app, page)
    _confine(app)
    app.middleware_stack = app.build_middleware_stack()
    return page


def mount(app: Any, page: Any, *, address: str | None = None) -> Any:
    """Puts the page at the root of a FastAPI `app` whose start-up events are still to be run;
    gradio's own application in there.

    `address` is where the server reaches `app` itself: the oldest gradio's queue works that way."""
    _hear(app, page)
    _queue(page)
    options: dict[str, Any] = {}
    if MAJOR >= 4:
        options["max_file_size"] = LARGEST
    elif address is not None:
        options["gradio_api_url"] = address
    if MAJOR >= 6:
        options.update(theme=theme(), footer_links=[])
    gr.mount_gradio_app(app, page, path="/", **options)
    own: Any = app.routes[-1].app
    _confine(own)
    return own


def _queue(page: Any) -> None:
    if MAJOR >= 4:
        page.queue(default_concurrency_limit=AT_ONCE, max_size=WAITING)
    else:
        page.queue(concurrency_count=AT_ONCE, max_size=WAITING)


def _hear(app: Any, page: Any) -> None:
    """Browsers tell the server's FastAPI `app` when a page is closed, whose search ends then; and
    ask it for what is in a visitor's library."""
    path = f"/{scripts.LEAVING}{{token}}"
    app.add_api_route(path, page.leave, methods=["POST"], response_model=None)
    page.serving.join(app)


def _confine(app: Any) -> None:
    """gradio lets pages of other servers call it, the oldest any; 3.41 serves the working folder of
    the process, too, and a page has nothing there."""
    app.user_middleware = [m for m in app.user_middleware if "CORS" not in m.cls.__name__]
    if MAJOR < 4:
        app.cwd = app.uploaded_file_dir


def close(page: Any) -> None:
    """Ends the page at once, even where browsers still hold connections to it."""
    server = getattr(page, "server", None)
    if server is not None:
        server.force_exit = True
    page.close(verbose=False)
