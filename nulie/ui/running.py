"""Work in a thread of its own, for one visitor, and what the page may know of it meanwhile."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing
from weakref import WeakValueDictionary

from ..errors import NulieError
from ..jobs.events import Ended, Event
from ..memory import give_back

DESERTED = 30.0
"""Seconds without a look at it after which a run is taken for deserted, and ends."""

_log = logging.getLogger(__name__)

_RUNS: WeakValueDictionary[str, Run] = WeakValueDictionary()


def leave(token: str) -> None:
    """Ends the run of that token, whose visitor has closed the page."""
    run = _RUNS.get(token)
    if run is not None:
        run.stop(drop=True)


class Run(ABC):
    """`start` it, look at `latest()` now and then until `wait` says that it is over."""

    def __init__(self) -> None:
        self.error: str | None = None
        """Why it has failed."""
        self.cancel = threading.Event()
        self.token = secrets.token_hex(16)
        """For `leave`."""
        _RUNS[self.token] = self
        self._dropped = threading.Event()
        self._over = threading.Event()
        self._latest: Event | None = None
        self._looked = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="nulie run", daemon=True)

    @abstractmethod
    def events(self) -> Generator[Event | Ended, None, None]:
        """What is done, in the run's thread."""

    @abstractmethod
    def see(self, event: Event | Ended) -> None:
        """Called with each event, in the run's thread."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, drop: bool = False) -> None:
        """Ends a search within a batch: with the best so far, or without any result."""
        if drop:
            self._dropped.set()
        self.cancel.set()

    @property
    def stopping(self) -> bool:
        return self.cancel.is_set()

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def latest(self) -> Event | None:
        """The last event. A run that nobody looks at any more ends by itself."""
        self._looked = time.monotonic()
        return self._latest

    def wait(self, seconds: float) -> bool:
        """Waits until it is over, at most so long; whether it is."""
        return self._over.wait(seconds)

    def _work(self) -> None:
        try:
            with closing(self.events()) as events:
                for event in events:
                    if time.monotonic() - self._looked > DESERTED:
                        self.stop(drop=True)
                    if self._dropped.is_set():
                        return
                    self.see(event)
                    if isinstance(event, Event):
                        self._latest = event
        except NulieError as e:
            self.error = str(e)
        except Exception as e:
            _log.exception("a run failed")
            self.error = f"the search failed ({type(e).__name__}: {e}); the log has more"
        finally:
            self._latest = None
            self._over.set()
            give_back()
