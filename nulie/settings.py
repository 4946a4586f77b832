"""`Settings`, where programs have always imported it from. Names of ops are known here."""

from . import transforms  # noqa: F401  # registers the ops, whose names settings are checked for
from .recipe.settings import Settings

__all__ = ["Settings"]
