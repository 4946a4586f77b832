"""What a run tells while it goes, and what it ends with."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

from ..recipe import Recipe
from ..search import Improved, Progress, Reason
from .objective import Terms

__all__ = ["Event", "Finished", "Improved", "Noted", "Progress", "Result", "Started", "Variant"]


@dataclass(frozen=True)
class Started:
    base: Terms


@dataclass(frozen=True)
class Noted:
    """Something happened that a user should hear of, in one line."""

    text: str


@dataclass(frozen=True)
class Variant:
    """A result: its recipe, and its marks at full size."""

    recipe: Recipe
    terms: Terms


@dataclass(frozen=True)
class Result:
    """How a run ended. `variants` is empty when nothing beat the input."""

    base: Terms
    """The input's marks, by the same exact scoring as the variants'."""
    variants: tuple[Variant, ...]
    image: Image.Image = field(repr=False)
    """The best variant at full size, RGB, or the input's pixels when nothing beat them."""
    evaluations: int
    seconds: float
    """Time of the search alone."""
    reason: Reason

    @property
    def recipe(self) -> Recipe:
        return self.variants[0].recipe if self.variants else Recipe()

    @property
    def terms(self) -> Terms:
        return self.variants[0].terms if self.variants else self.base


@dataclass(frozen=True)
class Finished:
    """The last event of a run."""

    result: Result


Event = Started | Progress | Improved | Noted | Finished
