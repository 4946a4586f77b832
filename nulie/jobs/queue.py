"""A line before each device, for searches of one process."""

from __future__ import annotations

import threading


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
