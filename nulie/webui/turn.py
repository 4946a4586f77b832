"""A job of our own among those of the web UI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import memory, predictors
from .host import WebUI


@contextmanager
def turn(webui: WebUI) -> Iterator[None]:
    """Waits until nothing else runs, and tells the web UI of the job's start and end. Never inside
    of an operation or a hook, which have the lock already."""
    with webui.queue_lock:
        webui.shared.state.begin(job="nulie")
        webui.shared.state.job_count = 1
        try:
            with memory.computing(webui):
                yield
        finally:
            webui.shared.state.end()
            predictors.end_run(webui)
