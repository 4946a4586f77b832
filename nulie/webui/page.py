"""The page of `nulie.ui` as the web UI shows it, in the frame of its tab."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..predictor import NAMES
from ..predictor.loaded import PREDICTORS
from ..recipe.settings import Settings
from ..ui import Host, build
from .exchange import TARGETS, Exchange
from .host import WebUI

if TYPE_CHECKING:
    from PIL import Image

    from ..models.download import Progress
    from ..predictor.base import Predictor


def page(
    webui: WebUI,
    came: Exchange[bytes],
    sent: Exchange[tuple[Image.Image, str]],
    *,
    theme: Any = None,
    open_folder: Callable[[Path], None] | None,
    saved: Callable[[Any, Path], None],
) -> Any:
    """The page's Blocks. Files of pictures come by `came`; results, each with the generation
    parameters of its photo, go by `sent`. `open_folder` is None where the web UI hides the server's
    folders; `saved` is told of the Blocks, too."""
    turn = _Turn(webui)
    blocks: Any = build(
        Host(
            results=webui.results_folder,
            heading=False,
            defaults=Settings(seconds=float(webui.option("seconds"))),
            predictors=("auto", *NAMES),
            predictor=turn.predictor,
            turn=turn.taken,
            interrupted=webui.stopped,
            progress=turn.progress,
            format=str(webui.option("format")),
            saved=lambda path: saved(blocks, path),
            open_folder=open_folder,
            folders=open_folder is not None,
            targets=TARGETS,
            give=lambda image, text: sent.give((image, text)),
            take=came.take,
            theme=theme,
        )
    )
    return blocks


class _Turn:
    """The page's searches among the jobs of the web UI."""

    def __init__(self, webui: WebUI) -> None:
        self._webui = webui
        self._ours = threading.Event()

    def predictor(self, name: str, progress: Progress | None) -> tuple[Predictor, str]:
        """`auto` is the one of our settings. Loads only when no other job runs."""
        webui = self._webui
        name = "" if name == "auto" else name
        if PREDICTORS.ready(webui.named(name), webui.device, webui.weights_folders()):
            return webui.predictor(name, progress)
        with webui.queue_lock, webui.computing():
            return webui.predictor(name, progress)

    @contextmanager
    def taken(self) -> Iterator[None]:
        with self._webui.turn():
            self._ours.set()
            try:
                yield
            finally:
                self._ours.clear()

    def progress(self, share: float, text: str, image: Image.Image | None) -> None:
        """The page tells it from a thread of its own, also while it waits for another job, whose
        bar this is not."""
        if self._ours.is_set():
            self._webui.show(share, text, image)
