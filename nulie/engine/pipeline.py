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

Restore = Callable[[Image.Image], Image.Image]
"""An RGB image to a new RGB image, which may be of another size."""


class Models(Protocol):
    """Where the models that a recipe names are had from."""

    def restorer(self, step: ModelStep) -> Restore:
        """What carries out the step. Raises: a NulieError that says why it cannot be had."""


def apply(
    recipe: Recipe, photo: Photo, models: Models | None = None, *,
    pixels: Image.Image | None = None,
) -> Photo:  # fmt: skip
    """The photo with the whole recipe applied. Models may change the size; alpha and EXIF follow
    then. `pixels`: what the recipe makes of the photo's own, where that has been rendered already.

    At 16 bits a channel ops work with all of them, see `transforms.render_deep`; models work with
    8, and a note says that so many are left. Raises: RecipeError on a step that cannot be applied,
    or whose model there is no `models` to ask for, before anything is computed; and what `models`
    raises."""
    if pixels is None:
        pixels = apply_to_pixels(recipe, photo.pixels, models)
    made = photo.with_pixels(pixels)
    if photo.deep is None:
        return made
    if not (recipe.before or recipe.after):
        return replace(made, deep=transforms.render_deep(recipe, photo.pixels, photo.deep))
    note = "the recipe's models keep 8 of the photo's 16 bits per channel"
    return replace(made, notes=(*made.notes, note))


def apply_to_pixels(
    recipe: Recipe, pixels: Image.Image, models: Models | None = None
) -> Image.Image:
    """`apply` for bare RGB pixels, which stay as they are; the result is a new RGB image."""
    steps = (*recipe.before, *recipe.after)
    if steps and models is None:
        op, name = steps[0].op, steps[0].name
        raise RecipeError(
            f"the recipe's step {op!r} needs the model {name}, and none is at hand here"
        )
    restorers = [models.restorer(step) for step in steps] if models is not None else []
    for restore in restorers[: len(recipe.before)]:
        pixels = restore(pixels)
    pixels = transforms.render(Recipe(recipe.steps), pixels)
    for restore in restorers[len(recipe.before) :]:
        pixels = restore(pixels)
    return pixels
