"""Pictures on their way between the web UI's page and that in the frame of our tab.

Each of the two pages is served by a gradio of its own, so what one has the other must be told by
the browser, which carries no more than a ticket.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

from PIL import Image  # not for types alone: gradio reads the hints of what an event calls

MOST = 8
"""Pictures that wait; those that nobody asked for go first."""


class Exchange:
    """Each picture is taken once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, tuple[Image.Image, str]] = OrderedDict()

    def give(self, image: Image.Image, text: str = "") -> str:
        """The ticket of a picture, and of a text with it."""
        ticket = secrets.token_urlsafe(16)
        with self._lock:
            self._waiting[ticket] = (image, text)
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)
        return ticket

    def take(self, ticket: str) -> tuple[Image.Image | None, str]:
        """Picture and text; None and an empty text when they are gone."""
        with self._lock:
            return self._waiting.pop(ticket, (None, ""))

    def take_image(self, ticket: str) -> Image.Image | None:
        return self.take(ticket)[0]
