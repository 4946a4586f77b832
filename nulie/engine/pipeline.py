"""The one door by which a recipe meets a picture at full size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import transforms
from ..image_io import Photo
from ..recipe import Recipe


def apply(recipe: Recipe, photo: Photo, models: Any = None) -> Photo:
    """The photo with the recipe applied. Raises: RecipeError on a step that cannot be."""
    return replace(photo, pixels=transforms.render(recipe, photo.pixels))
