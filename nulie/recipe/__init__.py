"""What is done to a picture, and what may be done, as values: no image library, no torch."""

from .layout import FORMAT
from .steps import ModelStep, Recipe, Step

__all__ = ["FORMAT", "ModelStep", "Recipe", "Step"]
