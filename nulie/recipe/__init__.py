"""What is done to a picture, and what may be done, as values: no image library, no torch."""

from .steps import FORMAT, Recipe, Step

__all__ = ["FORMAT", "Recipe", "Step"]
