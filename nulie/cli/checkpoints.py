"""Checkpoints as files: read, and written while a search runs."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.checkpoint import Checkpoint
from ..errors import CheckpointError
from ..image_io import atomic, shown_path

if TYPE_CHECKING:
    from ..engine import Enhancement, Event


def read(path: Path) -> Checkpoint:
    """Raises: CheckpointError that names the file."""
    shown = shown_path(path)
    try:
        return Checkpoint.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise CheckpointError(f"{shown}: not a checkpoint of nulie") from None
    except OSError as e:
        reason = e.strerror or type(e).__name__
        raise CheckpointError(f"{shown}: cannot be read ({reason}); check its name") from None
    except CheckpointError as e:
        raise CheckpointError(f"{shown}: {e}") from None


def kept(
    run: Enhancement, events: Generator[Event, None, None], path: Path, every: float
) -> Generator[Event, None, None]:
    """The events of a run, whose state is written to `path` after the first batch, then every so
    many seconds and at the end. Raises: ImageError when that fails."""
    from ..engine import Finished
    from ..search import Progress

    due = time.monotonic()
    for event in events:
        now = time.monotonic()
        if isinstance(event, Finished) or (isinstance(event, Progress) and now >= due):
            atomic.write(path, run.checkpoint().to_json().encode(), overwrite=True)
            due = time.monotonic() + every
        yield event
