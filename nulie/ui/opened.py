"""The photo that a visitor works on, with the small copies that are shown of it."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from ..drawing import Shown, shown
from ..image_io import Photo
from ..jobs.look import scale_down
from ..recipe import Recipe
from ..transforms import render

LIVE = 512
"""Long side of what is shown while things change."""
FULL = 1600
"""Long side of what is shown when they are settled; more does not fit on most screens."""


@dataclass(frozen=True)
class Opened:
    """The photo that is worked on. Replaced as a whole when another one is dropped."""

    photo: Photo
    name: str
    """Its file name, safe to show and to write under."""
    small: Image.Image
    """RGB copy of long side `LIVE`."""
    before: Shown
    """As it was, of long side `FULL`."""
    quick: Shown
    """As it was, of long side `LIVE`."""

    @classmethod
    def of(cls, photo: Photo, name: str) -> Opened:
        settled = scale_down(photo.pixels, FULL)
        small = scale_down(settled, LIVE)
        return cls(photo, name, small, shown(settled, photo, FULL), shown(small, photo, LIVE))

    def live(self, recipe: Recipe) -> Shown:
        """A quick look at a recipe's result."""
        return shown(render(recipe, self.small), self.photo, LIVE, quality=82)

    def settled(self, recipe: Recipe) -> Shown:
        """The pixels that would be saved, only smaller where they are more than fit."""
        return shown(render(recipe, self.photo.pixels), self.photo, FULL)
