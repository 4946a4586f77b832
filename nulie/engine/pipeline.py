"""The one door by which a recipe meets a picture at full size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from PIL import Image

from .. import transforms
from ..errors import RecipeError
from ..image_io import Photo
from ..recipe import ModelStep, Recipe

Restore = Callable[[Photo], Photo]
"""A photo to a new photo, which may be of another size."""


class Models(Protocol):
    """Where the models that a recipe names are had from."""

    def restorer(self, step: ModelStep) -> Restore:
        """What carries out the step. Raises: a NulieError that says why it cannot be had."""


def apply(
    recipe: Recipe, photo: Photo, models: Models | None = None, *,
    pixels: Image.Image | None = None,
) -> Photo:  # fmt: skip
    """The photo with the whole recipe applied. Models may change the size; alpha and EXIF follow
    then. `pixels`: what the recipe's ops make of the photo's own, where that has been rendered
    already and no model comes before them.

    At 16 bits a channel ops work with all of them, see `transforms.render_deep`. Raises:
    RecipeError on a step that cannot be applied, or whose model there is no `models` to ask for,
    before anything is computed; and what `models` raises."""
    steps = (*recipe.before, *recipe.after)
    if steps and models is None:
        op, name = steps[0].op, steps[0].name
        raise RecipeError(
            f"the recipe's step {op!r} needs the model {name}, and none is at hand here"
        )
    restorers = [models.restorer(step) for step in steps] if models is not None else []
    for restore in restorers[: len(recipe.before)]:
        photo = restore(photo)
    if recipe.steps or not steps:
        whole = apply_to_pixels(recipe, photo.pixels) if pixels is None else pixels
        deep = photo.deep
        if deep is not None:
            deep = transforms.render_deep(Recipe(recipe.steps), photo.pixels, deep)
        photo = replace(photo.with_pixels(whole), deep=deep)
    for restore in restorers[len(recipe.before) :]:
        photo = restore(photo)
    return photo


def apply_to_pixels(recipe: Recipe, pixels: Image.Image) -> Image.Image:
    """The ops of a recipe alone, for bare RGB pixels, which stay as they are; the result is a new
    RGB image. Raises: RecipeError on an op that cannot be applied."""
    return transforms.render(Recipe(recipe.steps), pixels)
