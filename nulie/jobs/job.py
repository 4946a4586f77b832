"""Many files, one after the other: what fails is told and does not stop the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError, NulieError, PlaceError
from .events import Amiss, Begun, Done, Ended, Event, Failed, Filmed, Planned, Skipped
from .file import process
from .host import Host
from .inputs import Item, is_film
from .names import Names
from .plan import Choice, Plan, restorers
from .series import with_recipe

if TYPE_CHECKING:
    from ..models.download import Progress
    from ..predictor import Predictor

_log = logging.getLogger(__name__)


class Job:
    """Iterate over `events()` once; the last one is `Ended`."""

    def __init__(
        self, items: Sequence[Item], plan: Plan, host: Host | None = None, *,
        cancel: threading.Event | None = None, names: Names | None = None,
    ) -> None:  # fmt: skip
        """`cancel` may be set from any thread: the file in work ends with its best so far, and no
        other one is begun. `names` are those of a larger job that this is a part of."""
        self.items = tuple(items)
        self.plan = plan
        self.cancel = cancel or threading.Event()
        self._given = host or Host()
        models = self._given.models or restorers(plan)
        self._host = replace(self._given, load=self._load, models=models)
        self._predictor: Predictor | None = None
        inputs = [*(item.path for item in items), *plan.inputs()]
        self._names = names or Names(inputs, overwrite=plan.results.overwrite)

    def events(self) -> Generator[Event | Ended, None, None]:
        """Raises: ModelError when there is nobody to judge, which no other file would mend; of a
        job that waits for its place, PlaceError when that was in vain."""
        done: list[Item] = []
        failed: list[Item] = []
        skipped: list[Item] = []
        amiss: list[Item] = []
        written: list[Path] = []
        plan: Plan | None = self.plan
        films = all(is_film(item.path) for item in self.items)
        if self.plan.same and not films and not self.plan.results.dry_run:
            plan = yield from with_recipe(self.items, self.plan, self._host, self.cancel)
            # What ends the search in which they all have part still has its best for all of them.
            self.cancel.clear()
        for number, item in enumerate(self.items, 1):
            if self.cancel.is_set() or plan is None:
                break
            yield Begun(item, number, len(self.items))
            film = self._host.film if is_film(item.path) else None
            work = film or process
            try:
                for event in work(item, plan, self._host, self._names, cancel=self.cancel):
                    if isinstance(event, Done | Filmed):
                        written += event.written
                    for kind, those in (
                        ((Done, Filmed, Planned), done),
                        (Skipped, skipped),
                        (Amiss, amiss),
                    ):
                        if isinstance(event, kind):
                            those.append(item)
                    yield event
                continue
            except NulieError as e:
                if isinstance(e, ModelError) and self._predictor is None:
                    raise
                if isinstance(e, PlaceError) and self.plan.results.job:
                    raise
                text = str(e)
            except Exception as e:
                _log.exception("%s", item.shown)
                text = f"{item.shown}: failed ({type(e).__name__}: {e})"
                # Libraries have their own words for it.
                if isinstance(e, MemoryError) or "allocate memory" in str(e):
                    text = f"{item.shown}: the memory is not enough for it; scale it down first"
            failed.append(item)
            yield Failed(item, text)
        ended = {*done, *failed, *skipped}
        left = tuple(item for item in self.items if item not in ended)
        yield Ended(tuple(done), tuple(failed), left, tuple(written), tuple(skipped), tuple(amiss))

    def _load(self, choice: Choice, progress: Progress | None) -> tuple[Predictor, str]:
        """Once, and tells once what there is to tell of it."""
        note = ""
        if self._predictor is None:
            self._predictor, note = self._given.load(choice, progress)
        return self._predictor, note
