"""Image ops, each with an exact Pillow form and one for batches of previews."""

from . import tone, histogram, color, detail  # noqa: F401, I001  # each registers its ops; in this order
from .base import (
    MODES,
    Mode,
    Op,
    Param,
    check,
    describe,
    get,
    merged,
    ops,
    register,
    resolve,
    space,
)
from .render import render

__all__ = [
    "MODES",
    "Mode",
    "Op",
    "Param",
    "check",
    "describe",
    "get",
    "merged",
    "ops",
    "register",
    "render",
    "resolve",
    "space",
]
