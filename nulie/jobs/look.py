"""A quick look at what recipes make of a photo: on a small copy of it, while things change."""

from __future__ import annotations

from PIL import Image

from ..image_io import Photo
from ..recipe import Recipe
from ..transforms import render

LONGEST = 512
"""Pixels of the long side of what is shown while things change."""


class Look:
    def __init__(self, photo: Photo, longest: int = LONGEST) -> None:
        self._small = scale_down(photo.pixels, longest)

    def picture(self, recipe: Recipe) -> Image.Image:
        """RGB, its long side `longest` at most; a new image. Without what models do: that takes its
        time, and is hardly seen on a small copy. Raises: RecipeError."""
        return render(Recipe(recipe.steps), self._small)


def scale_down(image: Image.Image, longest: int) -> Image.Image:
    """The picture itself, or a copy whose long side is `longest`."""
    if max(image.size) <= longest:
        return image
    scale = longest / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
