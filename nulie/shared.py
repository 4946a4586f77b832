"""What all searches of a process share: the loaded predictors, and a line before each device."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .predictor.base import Predictor
    from .predictor.download import Progress

MOST_LOADED = 2
"""Predictors kept in memory; the one that was used longest ago goes first."""


class Predictors:
    """Loads each predictor once, whoever asks for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.download: tuple[str, int, int] | None = None
        """File name, bytes done and bytes in all of what is being downloaded."""
        self._loaded: OrderedDict[tuple[str, str, tuple[Path, ...]], tuple[Predictor, str]] = (
            OrderedDict()
        )

    def get(
        self,
        name: str = "auto",
        device: str = "auto",
        *,
        folders: Sequence[Path] = (),
        progress: Progress | None = None,
    ) -> tuple[Predictor, str]:
        """The predictor and what to tell the user of the choice; see `predictor.create`.

        Raises: PredictorError, WeightsError."""
        from .predictor import create

        def tell(file: str, done: int, size: int) -> None:
            self.download = (file, done, size)
            if progress is not None:
                progress(file, done, size)

        key = (name, device, tuple(folders))
        with self._lock:
            if key not in self._loaded:
                try:
                    self._loaded[key] = create(name, device=device, folders=folders, progress=tell)
                finally:
                    self.download = None
                while len(self._loaded) > MOST_LOADED:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def ready(self, name: str, device: str, folders: Sequence[Path] = ()) -> bool:
        """Whether `get` would have nothing to load."""
        return (name, device, tuple(folders)) in self._loaded

    def clear(self) -> None:
        """Forgets all of them, so that their memory can be freed."""
        with self._lock:
            self._loaded.clear()


class Line:
    """First come, first served: one search at a time on a device."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: dict[str, list[Ticket]] = {}

    def join(self, device: str) -> Ticket:
        """A place at the end of the line. Whoever joins must leave, or all behind wait for ever."""
        with self._changed:
            ticket = Ticket(self, device)
            self._lines.setdefault(device, []).append(ticket)
            return ticket

    def _place(self, ticket: Ticket) -> int:
        line = self._lines.get(ticket.device, [])
        return line.index(ticket) if ticket in line else 0

    def _leave(self, ticket: Ticket) -> None:
        with self._changed:
            line = self._lines.get(ticket.device, [])
            if ticket in line:
                line.remove(ticket)
            if not line:
                self._lines.pop(ticket.device, None)
            self._changed.notify_all()


class Ticket:
    """A place in a line."""

    def __init__(self, line: Line, device: str) -> None:
        self.device = device
        self._line = line

    def place(self) -> int:
        """How many are before this one; 0 when it is its turn."""
        with self._line._changed:
            return self._line._place(self)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for its turn, at most so long. Whether it has come."""
        with self._line._changed:
            return self._line._changed.wait_for(lambda: self._line._place(self) == 0, seconds)

    def leave(self) -> None:
        """Lets the next one go. May be called twice."""
        self._line._leave(self)


PREDICTORS = Predictors()
LINE = Line()
