"""Image ops, each with an exact Pillow form and one for batches of previews."""

from . import tone, histogram, color, detail  # noqa: F401, I001  # each registers its ops; in this order
from ..recipe.space import MODES, Mode, space
from .base import Op, check, get, ops, register, resolve
from .render import freeze, halo, render, render_deep, table_of
from .words import describe

__all__ = [
    "MODES", "Mode", "Op", "check", "describe", "freeze", "get", "halo", "ops", "register",
    "render", "render_deep", "resolve", "space", "table_of",
]  # fmt: skip
