"""What is on its way between the web UI's page and the one in the frame of our tab.

Each of the two pages is served by a gradio of its own, so what is in one reaches the other by way
of the browser, which carries no more than a ticket.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

TARGETS = ("img2img", "inpaint", "extras")
"""Tabs of the web UI that results can be sent to."""
MOST = 8
"""Things that wait; the oldest go first."""

Thing = TypeVar("Thing")


class Exchange(Generic[Thing]):
    """Each thing can be taken once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Thing] = OrderedDict()

    def give(self, thing: Thing) -> str:
        """Its ticket."""
        ticket = secrets.token_urlsafe(16)
        with self._lock:
            self._waiting[ticket] = thing
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)
        return ticket

    def take(self, ticket: str) -> Thing | None:
        """The thing of a ticket; None when it is gone."""
        with self._lock:
            return self._waiting.pop(ticket, None)
