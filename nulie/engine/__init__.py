"""One picture in memory: objective, run, finalists, checkpoint, and the door to a recipe."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .events import Finished, Improved, Noted, Progress, Result, Started
    from .run import Enhancement

__all__ = ["Enhancement", "Finished", "Improved", "Noted", "Progress", "Result", "Started"]


def __getattr__(name: str) -> Any:
    """Brings torch along only when asked for: checkpoints and recipes do without."""
    if name in __all__:
        module = ".run" if name == "Enhancement" else ".events"
        return getattr(import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
