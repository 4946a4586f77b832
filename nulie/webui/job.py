"""A job among those of the web UI: a photo is enhanced, its events are shown in the state."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from PIL import Image

from ..image_io import Photo
from ..jobs import picture
from ..jobs.events import Event, Loading, Noted, Restoring, Searching
from ..jobs.host import Host
from ..jobs.inputs import Item
from ..jobs.look import Look
from ..jobs.outcome import Outcome
from ..jobs.plan import Choice, Plan
from ..jobs.restoration import Restorers
from ..predictor import Predictor
from ..recipe import Recipe
from . import memory, predictors, state
from .host import WebUI
from .state import Show

INTERVAL = 0.5
"""Seconds between two live previews."""
ITEM = Item(Path("the image"))
"""What the web UI hands over has no name."""

Returned = TypeVar("Returned")

_log = logging.getLogger(__name__)
_logged: set[str] = set()


@contextmanager
def turn(webui: WebUI) -> Iterator[None]:
    """A job of our own: waits until nothing else runs, and tells the web UI of the job's start and
    end. Never inside of an operation or a hook, which have the lock already."""
    with webui.queue_lock:
        webui.shared.state.begin(job="nulie")
        webui.shared.state.job_count = 1
        try:
            with memory.computing(webui):
                yield
        finally:
            webui.shared.state.end()
            predictors.end_run(webui)


def enhance(
    webui: WebUI, photo: Photo, plan: Plan, show: Show
) -> tuple[Outcome | None, tuple[str, ...]]:
    """What the plan makes of the photo, and notes for the user; None when there was no best so far
    when the user pressed Interrupt or Skip. To be called under the web UI's lock and within
    `memory.computing`, which a recipe alone does not need.

    Raises: NulieError."""
    screen = _Screen(show, photo)
    # Names alone: what asks for them may have come from another machine.
    models = Restorers(
        webui.device, plan.restoration.models, folders=webui.restorers_folders(), named_only=True
    )
    host = replace(_host(webui), models=models)
    events = picture.enhance(ITEM, photo, plan, host, cancel=threading.Event())
    return screen.follow(events), tuple(screen.notes)


def load(webui: WebUI, choice: Choice, show: Show) -> tuple[Predictor, str]:
    """The predictor, and what to tell the user of the choice. To be called as `enhance` is.

    Raises: NulieError."""
    return _Screen(show).follow(_host(webui).predictor(ITEM, choice))


def _host(webui: WebUI) -> Host:
    """For one picture. It has a line of its own: whoever waits in another one while the web UI's
    lock is held here would wait for ever."""
    # "Stop after this image" from before the search leaves it its time.
    before = state.stopping(webui)
    return Host(
        load=lambda choice, progress: predictors.load(webui, choice.name, progress),
        interrupted=lambda: state.stopped(webui) or (state.stopping(webui) and not before),
    )


class _Screen:
    """Shows events as they come, and gathers the notes among them."""

    def __init__(self, show: Show, photo: Photo | None = None) -> None:
        self.notes: list[str] = []
        self._show, self._photo = show, photo
        self._look: Look | None = None
        self._recipe = Recipe()
        self._last = -INTERVAL

    def follow(self, events: Generator[Event, None, Returned]) -> Returned:
        """What the events end with."""
        with closing(events):
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    returned: Returned = end.value
                    return returned
                self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, Noted):
            self.notes.append(event.text)
            if event.text not in _logged:
                _logged.add(event.text)
                _log.warning("%s", event.text)
        elif isinstance(event, (Loading, Restoring)):
            # The bar is the search's: it would have to go back when that begins.
            self._show(0.0, f"NUlIE: {event.words}", None)
        elif isinstance(event, Searching):
            self._follow_search(event)

    def _follow_search(self, event: Searching) -> None:
        # The last one says that the rest takes a while.
        if time.monotonic() - self._last < INTERVAL and event.share < 1:
            return
        self._last = time.monotonic()
        self._show(event.share, f"NUlIE: {event.words}", self._picture(event.recipe))

    def _picture(self, recipe: Recipe) -> Image.Image | None:
        """None when it has been shown."""
        if self._photo is None or recipe == self._recipe:
            return None
        self._look = self._look or Look(self._photo)
        self._recipe = recipe
        return self._look.picture(recipe)
