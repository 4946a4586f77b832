"""Checkpoints as files: read, and written while a search runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..engine.checkpoint import Checkpoint
from ..errors import CheckpointError
from ..image_io import atomic, shown_path
from .inputs import reading


def read(path: Path) -> Checkpoint:
    """Raises: CheckpointError that names the file."""
    with reading(shown_path(path), CheckpointError, "not a checkpoint of nulie"):
        return Checkpoint.from_json(path.read_text(encoding="utf-8"))


class Keeper:
    """Writes a search's state after the first batch, then every so many seconds and at the end."""

    def __init__(self, path: Path, every: float) -> None:
        self._path = path
        self._every = every
        self._due = time.monotonic()

    def keep(self, checkpoint: Callable[[], Checkpoint], *, at_end: bool) -> None:
        """To be called between two batches. Raises: ImageError when it cannot be written."""
        if at_end or time.monotonic() >= self._due:
            atomic.write(self._path, checkpoint().to_json().encode(), overwrite=True)
            self._due = time.monotonic() + self._every
