"""Checkpoints as files: read, and written while a search runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..engine.checkpoint import Checkpoint
from ..errors import CheckpointError, ImageError
from ..image_io import atomic, shown_path
from .inputs import reading


def read(path: Path) -> Checkpoint:
    """Raises: CheckpointError that names the file."""
    with reading(shown_path(path), CheckpointError, "not a checkpoint of nulie"):
        return Checkpoint.from_json(path.read_text(encoding="utf-8-sig"))


class Keeper:
    """Writes a search's state after the first batch, then every so many seconds and at the end."""

    def __init__(self, path: Path, every: float, mode: int = atomic.OPEN) -> None:
        self._path, self._mode = path, mode
        self._every = every
        self._due = time.monotonic()
        self.failure = ""
        """Why the last state was not written; empty where it was."""

    def keep(self, checkpoint: Callable[[], Checkpoint], *, at_end: bool) -> str:
        """To be called between two batches. What has failed, for the first time in a row: the
        search goes on, and so does the keeping."""
        if not at_end and time.monotonic() < self._due:
            return ""
        before, self.failure = self.failure, ""
        try:
            data = checkpoint().to_json().encode()
            atomic.write(self._path, data, overwrite=True, mode=self._mode)
        except (ImageError, MemoryError) as e:
            self.failure = f"{e or 'memory is short'}: the state of the search is not kept"
        self._due = time.monotonic() + self._every
        return "" if before else self.failure
