"""`Settings`, where programs have always imported it from."""

from .recipe.settings import Settings

__all__ = ["Settings"]
