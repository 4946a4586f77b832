"""What is done to a picture, and what may be done, as values: no image library, no torch."""

from .layout import FORMAT, Carried
from .settings import Settings
from .space import Bounds, Dial, Move, Space
from .steps import ModelStep, Recipe, Step

__all__ = [
    "FORMAT", "Bounds", "Carried", "Dial", "ModelStep", "Move", "Recipe", "Settings", "Space",
    "Step",
]  # fmt: skip
