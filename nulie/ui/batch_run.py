"""A batch under way: one job over several photos, and a row for each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path

from ..drawing import Row, embed
from ..jobs.events import Begun, Done, Ended, Event, Failed, Noted
from ..jobs.host import Host as JobHost
from ..jobs.inputs import Item
from ..jobs.job import Job
from ..jobs.plan import Plan
from ..transforms import describe
from .compat import link
from .running import Run

THUMB = 96


class BatchRun(Run):
    """The results go into a folder of this batch alone, `plan.results.output_dir`, which is removed
    when nothing came of it."""

    def __init__(
        self, items: Sequence[Item], plan: Plan, host: JobHost, saved: Callable[[Path], None]
    ) -> None:
        super().__init__()
        self.rows = [Row(item.file_name) for item in items]
        self.begun: Begun | None = None
        """The photo in work."""
        self.written: list[Path] = []
        self._items = items
        self._plan = plan
        self._host = host
        self._saved = saved

    def events(self) -> Generator[Event | Ended, None, None]:
        try:
            yield from Job(self._items, self._plan, self._host, cancel=self.cancel).events()
        finally:
            folder = self._plan.results.output_dir
            if folder is not None:
                with suppress(OSError):  # it is not empty
                    folder.rmdir()

    def see(self, event: Event | Ended) -> None:
        if isinstance(event, Begun):
            self.begun = event
            self._row.said = "under way"
        elif isinstance(event, Noted):
            self._row.notes += (event.text,)
        elif isinstance(event, Failed):
            self._row.said = event.text
        elif isinstance(event, Done):
            self._show(event)
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

    def _show(self, event: Done) -> None:
        outcome, row = event.outcome, self._row
        path = event.written[0]
        self.written.append(path)
        self._saved(path)
        row.link = link(path, path.name)
        row.thumb = embed(outcome.after.pixels, outcome.after, THUMB)
        row.said = describe(outcome.recipe)
        if outcome.base is not None and outcome.terms is not None:
            row.before, row.after = outcome.base.score, outcome.terms.score
