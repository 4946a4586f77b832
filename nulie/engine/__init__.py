"""One picture in memory: the objective, the run of a search, its finalists, its checkpoint."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Enhancement, Event, Finished, Result, Started, Variant

__all__ = ["Enhancement", "Event", "Finished", "Result", "Started", "Variant"]


def __getattr__(name: str) -> Any:
    """Brings torch along only when one of these is asked for: checkpoints are read without."""
    if name in __all__:
        return getattr(import_module(".run", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
