"""A search in a thread of its own, and what the page may know of it meanwhile."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from ..drawing import Shown, shown, tree
from ..engine import Enhancement, Finished, Started, Variant
from ..engine.objective import Terms
from ..errors import NulieError
from ..memory import give_back
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..search import Improved, Progress
from .host import Host
from .opened import FULL, Opened

DESERTED = 30.0
"""Seconds without a look at it after which a run is taken for deserted, and ends."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a run found, without the large pictures."""

    opened: Opened
    base: Terms
    variants: tuple[Variant, ...]
    after: Shown
    """The best variant's pixels, or the photo's."""
    tree: str = field(repr=False)
    """Drawn already, for the nodes would take many times the memory."""
    points: list[tuple[float, float]] = field(repr=False)
    evaluations: int
    seconds: float
    stopped: bool
    predictor: str


@dataclass(frozen=True)
class State:
    """A run at one moment."""

    phase: str
    """`waiting`, `loading`, `searching`, `finishing` or `over`."""
    before: int = 0
    """Searches that come first, when waiting."""
    note: str = ""
    predictor: str = ""
    evaluations: int = 0
    seconds: float = 0.0
    base: float = 0.0
    best: float = 0.0
    recipe: Recipe = field(default_factory=Recipe)
    download: tuple[str, int, int] | None = None
    """File, bytes done and bytes in all of what is being downloaded, when loading."""
    token: str = ""
    """For `leave`."""


_RUNS: WeakValueDictionary[str, Run] = WeakValueDictionary()


def leave(token: str) -> None:
    """Ends the run of that token, whose visitor has closed the page."""
    run = _RUNS.get(token)
    if run is not None:
        run.left = True
        run.stop(drop=True)


class Run:
    """One search for one visitor. `start` it, look at `state()` now and then, read `outcome`."""

    def __init__(self, opened: Opened, settings: Settings, predictor: str, host: Host) -> None:
        self.opened = opened
        self.settings = settings
        self.outcome: Outcome | None = None
        self.error: str | None = None
        self.left = False
        """Whether its visitor has closed the page."""
        self._token = secrets.token_hex(16)
        _RUNS[self._token] = self
        self._name = predictor
        self._host = host
        self._cancel = threading.Event()
        self._dropped = threading.Event()
        self._over = threading.Event()
        self._state = State("waiting")
        self._points: list[tuple[float, float]] = []
        self._looked = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="nulie search", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, drop: bool = False) -> None:
        """Ends the search within a batch: with the best so far, or without any result."""
        if drop:
            self._dropped.set()
        self._cancel.set()

    def state(self) -> State:
        """How it stands. A run that nobody looks at any more ends by itself."""
        self._looked = time.monotonic()
        return replace(self._state, token=self._token)

    def points(self) -> list[tuple[float, float]]:
        """(seconds, best score) at each improvement so far."""
        return list(self._points)

    @property
    def stopping(self) -> bool:
        return self._cancel.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits until it is over, at most so long; whether it is."""
        return self._over.wait(seconds)

    def _work(self) -> None:
        try:
            self._queue()
        except NulieError as e:
            self.error = str(e)
        except Exception as e:
            _log.exception("search failed")
            self.error = f"the search failed ({type(e).__name__}: {e}); the log has more"
        finally:
            self._state = State("over")
            self._over.set()
            give_back()

    def _queue(self) -> None:
        """Loads the predictor, waits for its device, searches."""
        self._state = State("loading", predictor=self._name)
        predictor, note = self._host.predictor(self._name, self._downloading)
        ticket = self._host.line.join(str(predictor.device))
        try:
            while not ticket.wait(0.1):
                self._state = State("waiting", before=ticket.place())
                if self._ended() or self._cancel.is_set():
                    return
            with self._host.turn():
                run = Enhancement(
                    self.opened.photo.pixels, predictor, self.settings, cancel=self._cancel
                )
                self._search(run, predictor.name, note)
        finally:
            ticket.leave()

    def _downloading(self, file: str, done: int, size: int) -> None:
        self._state = State("loading", predictor=self._name, download=(file, done, size))

    def _search(self, run: Enhancement, name: str, note: str) -> None:
        events = run.events()
        base = best = 0.0
        recipe = Recipe()
        try:
            for event in events:
                if self._ended():
                    return
                if isinstance(event, Started):
                    base = best = event.base.total
                elif isinstance(event, Improved):
                    best, recipe = event.score, event.recipe
                    self._points.append((event.seconds, event.score))
                if isinstance(event, Progress | Improved):
                    self._state = State(
                        "searching",
                        note=note,
                        predictor=name,
                        evaluations=event.evaluations,
                        seconds=event.seconds,
                        base=base,
                        best=best,
                        recipe=recipe,
                    )
                if isinstance(event, Finished):
                    result = event.result
                    after = self.opened.before
                    if result.variants:
                        after = shown(result.image, self.opened.photo, FULL)
                    self.outcome = Outcome(
                        self.opened,
                        result.base,
                        result.variants,
                        after,
                        tree(run.tree.best(), result.base.total, result.recipe),
                        self.points(),
                        result.evaluations,
                        result.seconds,
                        result.reason == "cancelled",
                        name,
                    )
        finally:
            events.close()

    def _ended(self) -> bool:
        """Whether to give up at once. Passes on the host's wish to stop."""
        if self._host.interrupted():
            self._cancel.set()
        if time.monotonic() - self._looked > DESERTED:
            self._dropped.set()
        return self._dropped.is_set()
