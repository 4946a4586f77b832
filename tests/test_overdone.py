"""Guards hold what a photo has, unless that is too much already."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from nulie.engine import Enhancement, Finished
from nulie.engine.events import Noted
from nulie.engine.overdone import CLIPPED, GAPS, yield_guards
from nulie.recipe.settings import Settings

from .conftest import FakePredictor

ON = Settings(seconds=None, evaluations=40)


def landscape(chroma: float = 1.0) -> Image.Image:
    """Smooth hills of several colours with grain, and no level that stands out."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:160, 0:240] / 160
    base = 128 + 70 * np.sin(3 * x + y) * np.cos(2 * y)
    tints = np.stack([np.sin(5 * x), np.cos(4 * y), np.sin(3 * (x + y))], -1) * 30 * chroma
    levels = base[..., None] + tints + rng.normal(0, 4, (160, 240, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def yields(image: Image.Image) -> tuple[bool, bool]:
    """Whether the guards of colour and of contrast do."""
    settings, notes = yield_guards(ON, image)
    off = settings.min_color == 0, settings.min_contrast == 0
    assert len(notes) == sum(off)
    assert (settings.min_light, settings.protect_skin) == (ON.min_light, True)
    return off


def test_a_photo_as_it_should_be_keeps_what_it_has() -> None:
    assert yields(landscape()) == (False, False)


@pytest.mark.parametrize("factor", [0.6, 0.8])
def test_a_dull_photo_keeps_what_it_has(factor: float) -> None:
    image = ImageEnhance.Contrast(landscape()).enhance(factor)
    assert yields(image) == (False, False)
    assert yields(ImageEnhance.Color(image).enhance(factor)) == (False, False)


@pytest.mark.parametrize("factor", [1.25, 1.5, 2.0])
def test_a_stretched_photo_may_lose_both(factor: float) -> None:
    assert GAPS == 0.1
    assert yields(ImageEnhance.Contrast(landscape()).enhance(factor)) == (True, True)


def test_clipped_colours_may_lose_colour_alone() -> None:
    assert CLIPPED == 0.3
    assert yields(ImageEnhance.Color(landscape(2.0)).enhance(4)) == (True, False)


def test_grey_pictures_and_small_ones_have_no_gaps() -> None:
    for image in (landscape().convert("L").convert("RGB"), Image.new("RGB", (1, 1), (120, 60, 70))):
        assert yields(image) == (False, False)


def test_white_paper_is_not_clipped_colour() -> None:
    image = Image.new("RGB", (240, 240), "white")
    image.paste(landscape(), (0, 0))
    assert yields(image) == (False, False)


def test_what_is_off_stays_off_in_silence() -> None:
    settings = Settings(min_color=0.0, min_contrast=0.0)
    stretched = ImageEnhance.Contrast(landscape()).enhance(2)
    assert yield_guards(settings, stretched) == (settings, [])


def test_a_search_says_so_and_may_reduce_what_was_overdone() -> None:
    image = ImageEnhance.Contrast(landscape()).enhance(1.8)
    run = Enhancement(image, FakePredictor(), ON)
    events = list(run.events())
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert [note.count("--min-contrast") for note in notes] == [1, 0]
    assert run.settings == ON, "what was asked for stays as it was"
    assert isinstance(events[-1], Finished)
    assert events[-1].result.base.color is None
