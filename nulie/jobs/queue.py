"""A line before each device, for searches of one process."""

from __future__ import annotations

import threading
from collections import defaultdict


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
    """A place in a line."""

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
