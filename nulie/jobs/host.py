"""What a job must know of the program that it runs in."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .events import Busy, Event, Loading
from .inputs import Item
from .plan import Choice

if TYPE_CHECKING:
    from ..models.download import Progress
    from ..models.pool import Pool
    from ..predictor import Predictor
    from . import video
    from .outcome import Outcome
    from .restoration import Restorers

LOOK = 0.1
"""Seconds between two looks at a download, or at the line before a device."""

Film = Callable[..., "Generator[Event, None, bool]"]
Load = Callable[[Choice, "Progress | None"], "tuple[Predictor, str]"]


def load(choice: Choice, progress: Progress | None = None) -> tuple[Predictor, str]:
    """The predictor of a choice, and what to tell the user of it. Raises: as `create`."""
    from .. import predictor

    return predictor.create(**vars(choice), progress=progress)


def load_from(pool: Pool[tuple[Predictor, str]]) -> Load:
    """A `load` whose predictors stay loaded in the `pool`, by name and device."""
    return lambda choice, progress: pool.get(choice.name, choice.device, progress=progress)


class Line:
    """First come, first served: one search at a time on a device."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: defaultdict[str, list[Ticket]] = defaultdict(list)

    def join(self, device: str) -> Ticket:
        """A place at the end of the line. Whoever joins must leave, or all behind wait for ever."""
        with self._changed:
            ticket = Ticket(self._changed, self._lines[device])
            self._lines[device].append(ticket)
            return ticket


class Ticket:
    def __init__(self, changed: threading.Condition, line: list[Ticket]) -> None:
        self._changed = changed
        self._line = line

    def place(self) -> int:
        """How many are before this one; 0 when it is its turn."""
        with self._changed:
            return self._line.index(self) if self in self._line else 0

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for its turn, at most so long. Whether it has come."""
        with self._changed:
            return self._changed.wait_for(lambda: self.place() == 0, seconds)

    def leave(self) -> None:
        """Lets the next one go. May be called twice."""
        with self._changed:
            if self in self._line:
                self._line.remove(self)
            self._changed.notify_all()


@dataclass(frozen=True)
class Host:
    """The defaults are those of a program that does nothing else."""

    load: Load = load
    """See the function of that name. Called by any thread."""
    line: Line = field(default_factory=Line)
    """Where searches wait for their device."""
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Entered while a device is in use: the program's own lock, its job's start and end."""
    busy: Callable[[], bool] = lambda: False
    """Whether `turn` would have to wait for another job of the program."""
    interrupted: Callable[[], bool] = lambda: False
    """Polled during a search: whether the program wants it to end with the best so far."""
    draw: Callable[[Outcome | video.Film], str] | None = None
    """The page of HTML that tells of a search, where a plan asks for that."""
    film: Film | None = None
    """What does to a film what `file.process` does to a photo; None where there are no films."""
    check: Callable[[Path, str], None] = lambda path, name: None
    """Raises: ImageError when a file may not be looked at: a limit of size."""
    models: Restorers | None = None
    """Models of a recipe's steps, see `engine.pipeline.apply`; None: loaded for each picture."""

    def predictor(
        self, item: Item, choice: Choice
    ) -> Generator[Loading | Busy, None, tuple[Predictor, str]]:
        """The predictor, and what to tell of the choice, loaded in a thread. Raises: as `load`."""
        told: queue.SimpleQueue[tuple[str, int, int]] = queue.SimpleQueue()
        loaded: Future[tuple[Predictor, str]] = Future()

        def work() -> None:
            try:
                loaded.set_result(self.load(choice, lambda *progress: told.put(progress)))
            except BaseException as e:
                loaded.set_exception(e)

        thread = threading.Thread(target=work, name="nulie load", daemon=True)
        thread.start()
        busy = False
        while thread.is_alive() or not told.empty():
            thread.join(LOOK)
            if busy != self.busy():
                busy = not busy
                yield Busy(item) if busy else Loading(item, choice.name)
            while not told.empty():
                file, done, size = told.get()
                if told.empty() or done >= size:  # of many, the last one and the ends of files
                    yield Loading(item, choice.name, file, done, size)
        return loaded.result()
