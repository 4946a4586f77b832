"""The page of `nulie.ui` as the web UI shows it, in the frame of its tab."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from ..jobs.host import Host as JobHost
from ..jobs.plan import Choice
from ..models.download import Progress
from ..predictor import NAMES, Predictor
from ..recipe.settings import Settings
from ..ui import Host, build
from . import job, predictors, state
from .frame import TARGETS, Exchange
from .host import WebUI


def page(
    webui: WebUI,
    incoming: Exchange[bytes],
    outgoing: Exchange[tuple[Image.Image, str]],
    *,
    theme: Any = None,
    open_folder: Callable[[Path], None] | None,
    saved: Callable[[Any, Path], None],
) -> Any:
    """The page's Blocks. Files of pictures come by `incoming`; results, each with the generation
    parameters of its photo, go by `outgoing`. `open_folder` is None where the web UI hides the
    server's folders; `saved` is told of the Blocks, too."""
    searches = PageSearches(webui)
    host = Host(
        webui.results_folder,
        heading=False,
        defaults=Settings(seconds=float(webui.option("seconds"))),
        predictors=("auto", *NAMES),
        jobs=JobHost(
            load=searches.load,
            turn=searches.turn,
            busy=searches.busy,
            interrupted=searches.interrupted,
        ),
        progress=searches.show,
        format=str(webui.option("format")),
        saved=lambda path: saved(blocks, path),
        open_folder=open_folder,
        folders=open_folder is not None,
        targets=TARGETS,
        give=lambda image, text: outgoing.give((image, text)),
        take=incoming.take,
        theme=theme,
    )
    blocks: Any = build(host)
    return blocks


class PageSearches:
    """The page's searches among the jobs of the web UI, one at a time."""

    def __init__(self, webui: WebUI) -> None:
        self._webui = webui
        self._running = threading.Event()
        """Whether the web UI's present job is one of the page's."""

    def load(self, choice: Choice, progress: Progress | None) -> tuple[Predictor, str]:
        """`auto` is the predictor of our settings. What has to be loaded first is a job of its own:
        nothing else may sample meanwhile."""
        webui = self._webui
        name = webui.predictor if choice.name == "auto" else choice.name
        if predictors.ready(webui, name):
            return predictors.load(webui, name)
        with self.turn():
            return predictors.load(webui, name, progress)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See `job.turn`."""
        with job.turn(self._webui):
            self._running.set()
            try:
                yield
            finally:
                self._running.clear()

    # The page asks and tells from threads of its own, also while it waits for another job, whose
    # buttons and bar these are not.

    def busy(self) -> bool:
        """Whether a job that is not one of the page's runs."""
        if self._running.is_set():
            return False
        # The web UI's own kind of lock tells it in no other way.
        lock = self._webui.queue_lock
        free = bool(lock.acquire(False))
        if free:
            lock.release()
        return not free

    def interrupted(self) -> bool:
        return self._running.is_set() and state.stopped(self._webui)

    def show(self, share: float, text: str, image: Image.Image | None) -> None:
        if self._running.is_set():
            state.show(self._webui, share, text, image)
