"""Aesthetic predictors: the protocol, the ones nulie brings along, and the choice among them."""

from __future__ import annotations

from typing import Any

from .adapt import adapt
from .base import (
    Enhancing,
    Judge,
    Judging,
    Prediction,
    Predictor,
    exact_form,
    score_photos,
    take_notes,
)
from .choice import REGISTRY, create
from .published import CLIP

__all__ = [
    "NAMES",
    "REGISTRY",
    "Enhancing",
    "Judge",
    "Judging",
    "Prediction",
    "Predictor",
    "adapt",
    "create",
    "exact_form",
    "score_photos",
    "take_notes",
]

CLIP_NAMES = tuple(CLIP)

NAMES: tuple[str, ...]
"""What a predictor may be called, beside `auto` and what only this machine's user may name: the
path of a file, and `module:Name`."""


def __getattr__(name: str) -> Any:
    # Only when it is asked for, since looking for installed packages takes some milliseconds.
    if name == "NAMES":
        return tuple(known for known in REGISTRY.names() if known != "auto")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
