"""How a job stands, counted from what it tells."""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic

from .events import Done, Ended, Event, Failed, Planned, Skipped, Standing

_OVER = Done, Skipped, Planned


class Tally:
    """Of a job over `count` files that begins now."""

    def __init__(self, count: int) -> None:
        self._count, self._began = count, monotonic()
        self._done = self._failed = 0

    def add(self, *, failed: bool) -> Standing:
        """One more file is over."""
        self._failed += failed
        self._done += not failed
        over = self._done + self._failed
        rate = over / max(monotonic() - self._began, 1e-9)
        return Standing(self._done, self._failed, self._count - over, rate)


def with_standing(
    events: Generator[Event | Standing | Ended, None, None], count: int
) -> Generator[Event | Standing | Ended, None, None]:
    """The events of a job over `count` files, one after another, with how it stands after each."""
    tally = Tally(count)
    for event in events:
        yield event
        if isinstance(event, (*_OVER, Failed)):
            yield tally.add(failed=isinstance(event, Failed))
