"""A predictor is loaded in a thread of its own, so that its download can be told of."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from concurrent.futures import Future

from ..predictor import Predictor
from .events import Busy, Loading
from .host import Host
from .inputs import Item
from .plan import Choice

LOOK = 0.1
"""Seconds between two looks at a download."""


def load(
    item: Item, choice: Choice, host: Host
) -> Generator[Loading | Busy, None, tuple[Predictor, str]]:
    """The predictor, and what to tell the user of the choice. Raises: what `Host.load` raises."""
    told: queue.SimpleQueue[tuple[str, int, int]] = queue.SimpleQueue()
    loaded: Future[tuple[Predictor, str]] = Future()

    def work() -> None:
        try:
            loaded.set_result(host.load(choice, lambda *progress: told.put(progress)))
        except BaseException as e:
            loaded.set_exception(e)

    thread = threading.Thread(target=work, name="nulie load", daemon=True)
    thread.start()
    busy = False
    while thread.is_alive() or not told.empty():
        thread.join(LOOK)
        if busy != host.busy():
            busy = not busy
            yield Busy(item) if busy else Loading(item, choice.name)
        while not told.empty():
            file, done, size = told.get()
            if told.empty() or done >= size:  # of many, the last one and the ends of files
                yield Loading(item, choice.name, file, done, size)
    return loaded.result()
