"""Work in a thread of its own, for one visitor, and what the page may know of it meanwhile:
a search for one photo, a batch of several."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..drawing import DataImage, Row, embed, tree
from ..errors import NulieError
from ..jobs.events import (
    Begun,
    Done,
    Ended,
    Event,
    Failed,
    Filmed,
    Loading,
    Noted,
    Searching,
    Standing,
)
from ..jobs.host import Host as JobHost
from ..jobs.inputs import Item
from ..jobs.job import Job
from ..jobs.outcome import Outcome
from ..jobs.picture import enhance
from ..jobs.plan import Plan
from ..memory import give_back
from ..transforms import describe
from .compat import here, link
from .opened import Opened, full

Events = Generator[Event | Standing | Ended, None, None]
INTERVAL = 0.25
"""Seconds between two live updates of the page."""
DESERTED = 30.0
"""Seconds without a look at it after which a run is taken for deserted, and ends."""
THUMB = 96
"""Long side of a picture in the table of a batch."""

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """Ends a run from within what it does."""


class Run(ABC):
    """`start` it, look at `latest()` now and then until `wait` says that it is over."""

    def __init__(self) -> None:
        self.error: str | None = None
        """Why it has failed."""
        self.cancel = threading.Event()
        self._dropped = threading.Event()
        self._over = threading.Event()
        self._latest: Event | None = None
        self._looked = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="nulie run", daemon=True)

    @abstractmethod
    def events(self) -> Events:
        """What is done, in the run's thread."""

    @abstractmethod
    def see(self, event: Event | Standing | Ended) -> None:
        """Called with each event, in the run's thread."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, drop: bool = False) -> None:
        """Ends a search within a batch: with the best so far, or without any result."""
        if drop:
            self._dropped.set()
        self.cancel.set()

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def latest(self) -> Event | None:
        """The last event that says how it goes. A run that nobody looks at any more ends by
        itself."""
        self._looked = time.monotonic()
        return self._latest

    def wait(self, seconds: float) -> bool:
        """Waits until it is over, at most so long; whether it is."""
        return self._over.wait(seconds)

    def _work(self) -> None:
        try:
            with closing(self.events()) as events:
                for event in events:
                    if time.monotonic() - self._looked > DESERTED:
                        self.stop(drop=True)
                    if self._dropped.is_set():
                        return
                    self.see(event)
                    # A note stands beside how it goes, not in its place.
                    if isinstance(event, Event) and not isinstance(event, Noted):
                        self._latest = event
        except NulieError as e:
            self.error = str(e)
        except Stopped:
            pass
        except Exception as e:
            _log.exception("a run failed")
            self.error = f"the search failed ({type(e).__name__}: {e}); the log has more"
        finally:
            self._latest = None
            self._over.set()
            give_back()


@dataclass(frozen=True)
class Finish:
    """How a search ended, as the page keeps it: drawn, without the large pictures."""

    opened: Opened
    outcome: Outcome
    """A light one."""
    after: DataImage
    """The best variant's pixels, or the photo's."""
    tree: str = field(repr=False)
    """Drawn already, for the nodes would take many times the memory."""


class Search(Run):
    def __init__(self, opened: Opened, plan: Plan, host: JobHost) -> None:
        super().__init__()
        self.opened = opened
        self.finish: Finish | None = None
        self.climb: list[tuple[float, float]] = []
        """(seconds, best score) at each improvement so far."""
        self.notes: list[str] = []
        self._plan, self._host = plan, host
        self._item = Item(Path(opened.name), name=opened.name)
        self._latest = Loading(self._item, plan.judge)

    def events(self) -> Generator[Event, None, None]:
        opened = self.opened
        self._host = replace(self._host, models=opened.models)
        outcome = yield from enhance(
            self._item, opened.photo, self._plan, self._host, cancel=self.cancel
        )
        if outcome is not None:
            drawn = tree(outcome.nodes, outcome.base.total, outcome.recipe) if outcome.base else ""
            after = full(outcome.after) if outcome.changed else opened.before
            self.finish = Finish(opened, outcome.light(), after, drawn)

    def see(self, event: Event | Standing | Ended) -> None:
        if isinstance(event, Noted):
            self.notes.append(event.text)
        elif isinstance(event, Searching):
            last = self.climb[-1][1] if self.climb else event.base
            if event.best > last:
                self.climb.append((event.seconds, event.best))


class BatchRun(Run):
    """One job over several photos, and a row for each. The results go into a folder of this batch
    alone, `plan.results.output_dir`, which is removed when nothing came of it."""

    def __init__(
        self, items: Sequence[Item], plan: Plan, host: JobHost, saved: Callable[[Path], None]
    ) -> None:
        super().__init__()
        self.rows = [Row(item.file_name) for item in items]
        self.begun: Begun | None = None
        """The photo in work."""
        self.written: list[Path] = []
        self._items, self._plan, self._host, self._saved = items, plan, host, saved

    def events(self) -> Events:
        try:
            yield from Job(self._items, self._plan, self._host, cancel=self.cancel).events()
        finally:
            folder = self._plan.results.output_dir
            if folder is not None:
                with suppress(OSError):  # it is not empty
                    folder.rmdir()

    def see(self, event: Event | Standing | Ended) -> None:
        if isinstance(event, Begun):
            self.begun = event
            self._row.said = "under way"
        elif isinstance(event, Noted):
            self._row.notes += (here(event.text),)
        elif isinstance(event, Failed):
            self._row.said = here(event.text)
        elif isinstance(event, Done):
            self._show(event)
        elif isinstance(event, Filmed):
            self._link(event.written[0])
            self._row.said = f"{event.film.frames:,} frames, {len(event.film.shots):,} shots"
        elif isinstance(event, Ended):
            self.settle("stopped")

    def settle(self, said: str) -> None:
        """Nothing more is done: `said` is what became of the photo in work."""
        for row in self.rows:
            row.said = {"under way": said, "waiting": "not begun"}.get(row.said, row.said)

    @property
    def _row(self) -> Row:
        assert self.begun is not None, "a job begins a file before it tells of it"
        return self.rows[self.begun.number - 1]

    def _link(self, path: Path) -> None:
        self.written.append(path)
        self._saved(path)
        self._row.link = link(path, path.name)

    def _show(self, event: Done) -> None:
        outcome, row = event.outcome, self._row
        self._link(event.written[0])
        row.thumb = embed(outcome.after.pixels, outcome.after, THUMB)
        row.said = describe(outcome.recipe)
        if outcome.base is not None and outcome.terms is not None:
            row.before, row.after = outcome.base.score, outcome.terms.score


class ShelfRun(Run):
    """Something that is done to a library."""

    def __init__(
        self, words: str, work: Callable[[ShelfRun], Events], *, whole: bool = True,
        saved: Callable[[Path], None] = lambda path: None,
    ) -> None:  # fmt: skip
        """`whole`: what is under way when it is stopped comes to nothing."""
        super().__init__()
        self.words, self.share = words, 0.0
        """How it stands."""
        self.failures: list[str] = []
        self.notes: list[str] = []
        self.written: list[Path] = []
        self.end = ""
        """What has come of it, once it is over."""
        self._do, self._whole, self._saved, self._stood = work, whole, saved, False

    def events(self) -> Events:
        return self._do(self)

    def stop(self, *, drop: bool = False) -> None:
        super().stop(drop=drop or self._whole)

    def tell(self, share: float) -> None:
        """How far something is that has no events. Raises: Stopped."""
        if self.cancel.is_set():
            raise Stopped
        self.share = share

    def see(self, event: Event | Standing | Ended) -> None:
        if isinstance(event, Standing):
            self._stood = True
            self.words, self.share = event.words, event.share
        elif isinstance(event, Failed):
            self.failures.append(here(event.text))
        elif isinstance(event, Noted):
            self.notes.append(here(event.text))
        elif isinstance(event, Done):
            self.written += event.written
            for path in event.written:
                self._saved(path)
        elif isinstance(event, Event) and not self._stood:
            self.words = event.words or self.words
