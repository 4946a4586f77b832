"""A quick look at a photo: small, and what the recipe makes of it."""

from __future__ import annotations

import numpy as np

from nulie import image_io
from nulie.jobs.look import LONGEST, Look, scale_down
from nulie.recipe import Recipe, Step
from nulie.transforms import render

from .conftest import picture

INVERT = Recipe((Step.of("invert", amount=1.0),))


def test_a_look_is_small_and_shows_the_recipe() -> None:
    photo = image_io.from_image(picture(1500, 1000))
    look = Look(photo)
    before, after = look.picture(Recipe()), look.picture(INVERT)
    assert before.size == after.size == (LONGEST, 341)
    assert np.array_equal(np.asarray(after), 255 - np.asarray(before))
    assert Look(photo, 90).picture(Recipe()).size == (90, 60)
    assert photo.size == (1500, 1000)


def test_a_small_photo_is_looked_at_as_it_is() -> None:
    photo = image_io.from_image(picture(300, 200))
    assert scale_down(photo.pixels, 300) is photo.pixels
    look = Look(photo)
    assert look.picture(INVERT).tobytes() == render(INVERT, photo.pixels).tobytes()
    assert look.picture(Recipe()) is not photo.pixels, "nobody may change the photo by it"


def test_even_the_longest_strip_keeps_a_pixel() -> None:
    assert scale_down(picture(3000, 2), 100).size == (100, 1)
