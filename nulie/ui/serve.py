"""The page on its own, launched in the way each gradio version wants it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .compat import MAJOR, theme
from .host import Host
from .page import build
from .running import leave
from .single import LARGEST_UPLOAD
from .words import LEAVING

VISITORS = 16
"""Handlers of one kind that run at once; the searches among them wait in their own line."""
WAITING = 64
"""Events that gradio keeps waiting before it refuses more."""
HOUR = 3600


def serve(
    host: Host,
    *,
    address: str,
    port: int,
    auth: tuple[str, str] | None = None,
    browser: bool = False,
) -> Any:
    """Launches the page and returns it; the caller must `close` it.

    Only the results folder is served, beside the page itself. Raises: OSError when the port is
    taken."""
    results = Path(host.results_folder())
    page = build(host)
    options: dict[str, Any] = {
        "server_name": address,
        "server_port": port,
        "auth": auth,
        "allowed_paths": [str(results)],
        "inbrowser": browser,
        "quiet": True,
        "prevent_thread_lock": True,
    }
    if MAJOR >= 4:
        page.queue(default_concurrency_limit=VISITORS, max_size=WAITING)
        # It keeps what each visitor's page shows, some megabytes, for an hour after they left.
        options["state_session_capacity"] = VISITORS
        options["max_file_size"] = f"{LARGEST_UPLOAD}mb"
        page.delete_cache = (HOUR, 24 * HOUR)  # uploads of batches, which may be run again
    else:
        page.queue(concurrency_count=VISITORS, max_size=WAITING)
        # This gradio serves the working folder, too.
        os.chdir(results)
    if MAJOR >= 6:
        options.update(theme=theme(), footer_links=[])
    else:
        options["show_api"] = False
    app, *_ = page.launch(**options)
    hear(app)
    return page


def hear(app: Any) -> None:
    """Lets browsers tell the server's FastAPI `app` of pages that are closed in the midst of a
    search, which ends then."""

    def left(token: str) -> None:
        leave(token)

    app.add_api_route(f"/{LEAVING}{{token}}", left, methods=["POST"], response_model=None)


def close(page: Any) -> None:
    """Ends the page at once, even where browsers still hold connections to it."""
    server = getattr(page, "server", None)
    if server is not None:
        server.force_exit = True
    page.close(verbose=False)
