"""One visitor: the photo, what was found for it, what was saved. Never shared, never global."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from ..drawing import DataImage
from ..errors import ImageError
from ..recipe import Recipe
from .opened import Opened
from .running import BatchRun, Finish, Search

MOST_SESSIONS = 12
"""Visitors whose photos stay in memory; whoever has been away longest goes first."""


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
    recipe: Recipe = field(default_factory=Recipe)
    """What is on the touch-up's sliders."""
    full: Recipe = field(default_factory=Recipe)
    """The same at strength 1: what the strength's slider turns."""
    saved: list[tuple[str, str, DataImage]] = field(default_factory=list)
    """The last files: a link, the recipe in words, a small picture."""
    folder: str = field(default_factory=lambda: time.strftime("%Y-%m-%d-") + secrets.token_hex(8))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def need(self) -> Opened:
        """Raises: ImageError when there is no photo."""
        if self.opened is None:
            raise ImageError("no photo yet; drop one first")
        return self.opened

    def best(self) -> Recipe:
        """What the last search has found; the empty recipe when there was none, or nothing."""
        return self.finish.outcome.recipe if self.finish else Recipe()

    def score(self, recipe: Recipe) -> dict[str, Any]:
        """The scores of a recipe that the search has found; one made by hand has none."""
        finish = self.finish
        if finish is None or finish.opened is not self.opened:
            return {}
        recipes = finish.outcome.recipes()
        return finish.outcome.score(recipes.index(recipe)) if recipe in recipes else {}

    def clear(self) -> None:
        """Forgets photo and results, which are what takes memory. A batch goes on."""
        if (search := self.search) is not None:
            search.stop(drop=True)
        self.opened = self.finish = None
        self.recipe = self.full = Recipe()


class Sessions:
    """Bounds how many visitors' photos lie in memory: pages are closed without a word."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: OrderedDict[int, Session] = OrderedDict()

    def touch(self, session: Session | None) -> Session:
        """The session, or a new one, as the one that was used last."""
        session = session or Session()
        with self._lock:
            self._used[id(session)] = session
            self._used.move_to_end(id(session))
            over = len(self._used) - MOST_SESSIONS
            gone = [self._used.popitem(last=False)[1] for _ in range(over)]
        for old in gone:
            old.clear()
        return session
