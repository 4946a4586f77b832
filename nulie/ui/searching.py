"""A search for one photo, as the page keeps it: drawn, without the large pictures."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from ..drawing import DataImage, tree
from ..jobs.events import Ended, Event, Loading, Noted, Searching
from ..jobs.host import Host as JobHost
from ..jobs.inputs import Item
from ..jobs.outcome import Outcome
from ..jobs.picture import enhance
from ..jobs.plan import Plan
from .opened import Opened, full
from .running import Run


@dataclass(frozen=True)
class Finish:
    """How a search ended."""

    opened: Opened
    outcome: Outcome
    """A light one."""
    after: DataImage
    """The best variant's pixels, or the photo's."""
    tree: str = field(repr=False)
    """Drawn already, for the nodes would take many times the memory."""


class Search(Run):
    """One search for one visitor."""

    def __init__(self, opened: Opened, plan: Plan, host: JobHost) -> None:
        super().__init__()
        self.opened = opened
        self.finish: Finish | None = None
        self.climb: list[tuple[float, float]] = []
        """(seconds, best score) at each improvement so far."""
        self.notes: list[str] = []
        self._plan = plan
        self._host = host
        self._item = Item(Path(opened.name), name=opened.name)
        self._latest = Loading(self._item, plan.choice.name)

    def events(self) -> Generator[Event, None, None]:
        opened = self.opened
        outcome = yield from enhance(
            self._item, opened.photo, self._plan, self._host, cancel=self.cancel
        )
        if outcome is not None and outcome.base is not None:
            drawn = tree(outcome.nodes, outcome.base.total, outcome.recipe)
            after = full(outcome.after) if outcome.changed else opened.before
            self.finish = Finish(opened, outcome.light(), after, drawn)

    def see(self, event: Event | Ended) -> None:
        if isinstance(event, Noted):
            self.notes.append(event.text)
        elif isinstance(event, Searching):
            last = self.climb[-1][1] if self.climb else event.base
            if event.best > last:
                self.climb.append((event.seconds, event.best))
