"""The photo that a visitor works on, and how it is shown."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from PIL import Image

from ..drawing import DataImage, embed
from ..engine.pipeline import apply
from ..image_io import Photo
from ..jobs.look import LONGEST, Look
from ..jobs.restoration import Restorers
from ..recipe import Recipe
from ..recipe.steps import ModelSteps

FULL = 1600
"""Long side of what is shown when it is settled; more does not fit on most screens."""


@dataclass(frozen=True)
class Opened:
    """The photo that is worked on. Replaced as a whole when another one is dropped."""

    photo: Photo
    name: str
    """Its file name, safe to show and to write under."""
    look: Look
    before: DataImage
    """As it was, of long side `FULL`."""
    quick: DataImage
    """As it was, as small as what is shown while things change."""

    key: str = field(default_factory=lambda: secrets.token_hex(4))
    """Tells it from others."""
    models: Restorers = field(default_factory=Restorers)
    """Those of a recipe's steps, see `engine.pipeline.apply`."""
    restored: dict[ModelSteps, Photo] = field(default_factory=dict)
    """What the last recipe with steps of models before its ops has made by them."""

    @classmethod
    def of(cls, photo: Photo, name: str, device: str = "auto") -> Opened:
        look = Look(photo)
        quick = embed(look.picture(Recipe()), photo, LONGEST)
        return cls(photo, name, look, full(photo), quick, models=Restorers(device))

    def result(self, recipe: Recipe) -> Photo:
        """What a recipe makes of it, at full size. Raises: NulieError."""
        first = recipe.before
        if first and first not in self.restored:
            made = apply(Recipe((), first), self.photo, self.models)
            self.restored.clear()
            self.restored[first] = made
        photo = self.restored[first] if first else self.photo
        return apply(Recipe(recipe.steps, (), recipe.after), photo, self.models)

    def live(self, recipe: Recipe) -> DataImage:
        """A quick look at a recipe's result."""
        return self.small(self.look.picture(recipe))

    def small(self, picture: Image.Image) -> DataImage:
        """A picture of `look`."""
        return embed(picture, self.photo, LONGEST, quality=82)

    def still(self, recipe: Recipe) -> DataImage:
        """The pixels that would be saved, at the photo's own size, and smaller where they are more
        than fit."""
        return full(self.result(Recipe(recipe.steps, recipe.before)))


def full(photo: Photo) -> DataImage:
    """A photo as it is shown when it is settled."""
    return embed(photo.pixels, photo, FULL)
