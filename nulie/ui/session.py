"""One visitor: the photo, what was found for it, what was saved. Never shared, never global."""

from __future__ import annotations

import math
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from ..drawing import DataImage
from ..errors import ImageError
from ..library.shelf import Shelf
from ..recipe import Recipe
from .filming import FilmLook
from .opened import Opened
from .running import BatchRun, Finish, Search, ShelfRun

ROOM = 2_000_000_000
"""Pixels of all visitors' photos in memory, three bytes each."""
HOUR = 3600.0
"""Seconds after which a photo that nobody uses makes room for another, where there is none."""
AWAY = 300.0
"""Seconds for which a photo waits whose page was closed: it may have been loaded anew."""


@dataclass(eq=False)
class Session:
    """What the page knows of one visitor. Handlers run in any thread."""

    opened: Opened | None = None
    finish: Finish | None = None
    """How the last search for this photo ended."""
    search: Search | None = None
    """The one under way."""
    batch: BatchRun | None = None
    """The one under way."""
    shelf: Shelf | None = None
    """The library that is looked at."""
    work: ShelfRun | None = None
    """What is under way in it."""
    film: FilmLook | None = None
    """The last look at a video, which may be under way."""
    recipe: Recipe = field(default_factory=Recipe)
    """What is on the touch-up's sliders."""
    full: Recipe = field(default_factory=Recipe)
    """The same at strength 1: what the strength's slider turns."""
    settled: Recipe | None = None
    """The one whose full picture is shown; None: a quick look is."""
    saved: list[tuple[str, str, DataImage]] = field(default_factory=list)
    """The last files: a link, the recipe in words, a small picture."""
    folder: str = field(default_factory=lambda: time.strftime("%Y-%m-%d-") + secrets.token_hex(8))
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    """For `Sessions.leave`."""
    used: float = field(default_factory=time.monotonic)
    """When the photo was last."""
    away: threading.Timer | None = None
    """Takes the photo of one who has closed the page."""
    lost: str = "no photo yet; drop one first"
    """Why there is no photo."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def need(self, *, idle: bool = False) -> Opened:
        """Raises: ImageError when there is no photo or, for who is `idle`, a search under way."""
        self.used = time.monotonic()
        if self.opened is None:
            raise ImageError(self.lost)
        if idle and self.search is not None:
            raise ImageError("a search is under way; stop it first, or wait for its end")
        return self.opened

    def best(self) -> Recipe:
        """What the last search has found; the empty recipe when there was none, or nothing."""
        return self.finish.outcome.recipe if self.finish else Recipe()

    def place(self, recipe: Recipe) -> int | None:
        """Which variant of the search's a recipe is; None for one that was made by hand."""
        finish = self.finish
        if finish is None or finish.opened is not self.opened:
            return None
        recipes = finish.outcome.recipes()
        return recipes.index(recipe) if recipe in recipes else None

    def score(self, recipe: Recipe) -> dict[str, Any]:
        """The scores of a recipe that the search has found; one made by hand has none."""
        place = self.place(recipe)
        return self.finish.outcome.score(place) if self.finish and place is not None else {}

    def drop(self) -> None:
        """Ends the search that is under way."""
        search, self.search = self.search, None
        if search is not None:
            search.stop(drop=True)

    def clear(self, opened: Opened | None = None) -> None:
        """Another photo, or none: forgets the last one and its results, which are what takes
        memory. A batch goes on."""
        self.drop()
        self.opened, self.finish, self.settled = opened, None, Recipe()
        self.recipe = self.full = Recipe()

    def forget(self) -> None:
        """Nobody comes back for anything of it."""
        self.clear()
        self.shelf = None


class Sessions:
    """Bounds how many photos lie in memory: pages can be closed without a word."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: WeakSet[Session] = WeakSet()

    def find(self, session: Session | None) -> Session:
        """The session, or a new one."""
        session = session or Session()
        with self._lock:
            self._all.add(session)
        return session

    def open(self, session: Session, opened: Opened) -> None:
        """The photo is the session's from now on. Raises: ImageError when there is no room for it:
        what was used within the hour, and what is searched for, stays."""
        with self._lock:
            others = [s for s in self._all if s is not session and s.opened is not None]
            idle = sorted((s for s in others if s.search is None), key=lambda s: s.used)
            free = ROOM - sum(_pixels(s.opened) for s in others) - _pixels(opened)
            while free < 0:
                if not idle or time.monotonic() - idle[0].used < HOUR:
                    raise ImageError(
                        "there is no room for it just now, so many visitors have photos here; wait"
                        " some minutes, then drop it again"
                    )
                gone = idle.pop(0)
                free += _pixels(gone.opened)
                gone.clear()
                gone.lost = "the photo made room for others after an hour; drop it again"
            session.clear(opened)
            session.need()

    def leave(self, token: str) -> None:
        """Ends what runs for the visitor of that token, who has closed the page."""
        with self._lock:
            gone = self._of(token)
            if gone is None:
                return
            gone.away = threading.Timer(AWAY, gone.forget)
            gone.away.daemon = True
            gone.away.start()
        if gone.batch is not None:
            gone.batch.stop(drop=True)
        if gone.work is not None:
            gone.work.stop(drop=True)
        if gone.film is not None:
            gone.film.stop(drop=True)
        gone.drop()
        gone.used = -math.inf  # the first to make room

    def of(self, token: str) -> Session | None:
        """The one whose token it is."""
        with self._lock:
            return self._of(token)

    def _of(self, token: str) -> Session | None:
        return next((s for s in self._all if s.token == token), None)

    def again(self, token: str) -> Session | None:
        """The session of one who had left and is back, if it has a photo still."""
        with self._lock:
            back = self._of(token)
            if back is None or back.away is None:
                return None
            back.away.cancel()
            back.away = None
        return back if back.opened else None


def _pixels(opened: Opened | None) -> int:
    if opened is None:
        return 0
    photos = (opened.photo, *opened.restored.values())
    return sum(photo.size[0] * photo.size[1] for photo in photos)
