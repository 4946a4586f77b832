"""What `nulie.enhance`, `nulie.apply` and `nulie.score` do: a job on pictures in memory, in one
call. To watch a search or to stop it, use `nulie.engine.Enhancement`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from .. import image_io
from ..engine import Enhancement, Finished, Noted, Result, pipeline
from ..engine.events import Variant
from ..errors import SettingsError
from ..image_io import Photo
from ..predictor import Judging, Predictor, adapt, exact_form, score_photos, take_notes
from ..predictor.loaded import PREDICTORS
from ..recipe import Recipe, Settings
from ..transforms.preview import shrink
from ..transforms.strength import scale
from . import recipes, reference, restoration, values
from .outcome import file_text
from .picture import turned

_log = logging.getLogger(__name__)

Picture = Image.Image | str | os.PathLike[str]
"""A picture in memory, of any mode, or the path of one."""


def enhance(
    image: Picture, *, predictor: str | os.PathLike[str] | Judging = "auto", device: str = "auto",
    like: Picture | None = None, strength: float = 1.0,
    repair: float | str | None = None, denoise: float | str | None = None, scan: bool = False,
    upscale: float | str | None = None, model: str | Sequence[str] = (),
    faithful: float | None = None, colorize: bool | str = False, color_variant: str | None = None,
    hint: str | Sequence[str] = (), **settings: Any,
) -> Result:  # fmt: skip
    """The best version of an image that a search finds.

    >>> result = nulie.enhance("examples/faded.jpg", evaluations=200, predictor="statistics")
    >>> result.terms.score > result.base.score
    True

    `result.image` has what the input had: transparency, and in its `info` the colour profile, EXIF
    and texts. `result.recipe` says what was done. If nothing beats the input, the image is a copy
    of it and the recipe is empty. The input itself is never changed.

    `settings` are the fields of `nulie.settings.Settings`, such as `seconds=30` or `mode="hard"`;
    with `evaluations` alone there is no limit of time. `predictor` is what `--predictor` takes, or
    an object with a method `judge` (see `nulie.predictor.adapt`). One that is loaded by its name
    stays in memory; `device` says where to. `like` is a picture whose colours the result is to
    have: the likeness to it judges then, and guards of light, colour, contrast and skin are off
    unless they are given. `strength`, 0 to 1.5, turns what was found down or up.

    `repair` takes away traces of JPEG, "auto" or its quality 1..100; `denoise` noise, "auto" or its
    standard deviation in levels; `scan` what a printed page has: before the search. `upscale`
    enlarges after it, to a factor or a size such as "4000x". `model` are names or files of other
    restorers; with a `faithful` below 1, down to 0, what is larger looks sharper, and is less true.
    `colorize` guesses colours for a black-and-white photo, by nulie's own model or one of that
    name; `color_variant` is "plain", "soft" or "vivid", and `hint` the colours of points, such as
    "120,80=#7a2230". `result.base` is then what the restored image is worth.

    Raises: TypeError on a setting that does not exist, else a NulieError: SettingsError,
    ImageError, ModelError."""
    chosen = _settings({**(values.NO_GUARDS if like is not None else {}), **settings})
    strength = values.strength(strength)
    judge = _predictor(predictor, device) if like is None else _like(like, predictor, device)
    wanted = restoration.read({
        "repair": repair, "denoise": denoise, "scan": scan, "upscale": upscale, "model": model,
        "faithful": faithful, "colorize": colorize, "color_variant": color_variant, "hint": hint,
    })  # fmt: skip
    models = restoration.Restorers(device, wanted.models)
    for note in models.to_come(wanted.models, wanted.colorists):
        _log.warning("%s", note)
    photo = _photo(image)
    first, notes = restoration.first_steps(photo, wanted, models)
    last = restoration.last_steps(photo, wanted, models)
    for note in notes:
        _log.info("%s", note)
    if first:
        photo = pipeline.apply(Recipe((), first), photo, models)
    for event in Enhancement(photo.pixels, judge, chosen).events():
        if isinstance(event, Noted):
            _log.warning("%s", event.text)
        elif isinstance(event, Finished):
            result = turned(event.result, photo, judge, chosen, strength)
    if first or last:
        found = result.variants or (Variant(Recipe(), result.base),)
        whole = tuple(replace(v, recipe=Recipe(v.recipe.steps, first, last)) for v in found)
        result = replace(result, variants=whole)
    made = photo.with_pixels(result.image)
    if last:
        made = pipeline.apply(Recipe((), (), last), made, models)
    text = file_text(result.recipe) if result.variants else {}
    return replace(result, image=image_io.to_image(made, made.pixels, text=text))


def apply(
    recipe: Recipe | str | os.PathLike[str], image: Picture, *, strength: float = 1.0
) -> Image.Image:
    """An image with a recipe applied to it, without a search.

    >>> nulie.apply('{"nulie": 1, "steps": [{"op": "invert"}]}', "examples/cat.png").size
    (451, 300)

    The recipe may be a `Recipe`, its JSON, or the path of a file that holds it: JSON, or an image
    that nulie wrote; `strength`, 0 to 1.5, turns it down or up. The result keeps what the image
    had, as `enhance` does.

    Raises: RecipeError, ImageError, SettingsError."""
    known = scale(_recipe(recipe), values.strength(strength))
    photo = _photo(image)
    done = pipeline.apply(known, photo, restoration.Restorers())
    return image_io.to_image(done, done.pixels, text=file_text(known))


def score(
    images: Iterable[Picture],
    *,
    predictor: str | os.PathLike[str] | Judging = "auto",
    device: str = "auto",
) -> list[float]:
    """What a predictor says of images as they are, in their order; more is better.

    >>> images = ["examples/faded.jpg", "examples/cat.png"]
    >>> [round(score) for score in nulie.score(images, predictor="statistics")]
    [6, 9]

    By CLIP scores are about 1 to 10, as people rate photos. `statistics` says how much is left to
    mend, so it compares versions of one photo, not different photos. `predictor` and `device` are
    those of `enhance`.

    Raises: ImageError on the first image that cannot be read, ModelError."""
    if isinstance(images, (Image.Image, str, os.PathLike)):
        raise TypeError("score takes several images; put a single one into a list")
    judge = exact_form(_predictor(predictor, device))
    previews = (shrink(_photo(image).pixels, judge.input_size) for image in images)
    scores: list[float] = []
    while batch := list(islice(previews, judge.batch_size)):
        scores += score_photos(judge, batch)
    for note in take_notes(judge):
        _log.warning("%s", note)
    return scores


def _settings(given: dict[str, Any]) -> Settings:
    known = [field.name for field in fields(Settings)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(f"there is no setting {unknown[0]!r}; known: {', '.join(known)}")
    return values.settings(given)


def _predictor(predictor: str | os.PathLike[str] | Judging, device: str) -> Predictor:
    if not isinstance(predictor, (str, os.PathLike)):
        if device != "auto":
            raise SettingsError("a device is for a predictor's name; an object has its own")
        return adapt(predictor)
    found, note = PREDICTORS.get(os.fspath(predictor), device)
    if note:
        _log.warning("%s", note)
    return found


def _like(like: Picture, predictor: object, device: str) -> Predictor:
    if predictor != "auto":
        raise SettingsError("like and predictor both say who judges; leave one of them out")
    return reference.read(like if isinstance(like, Image.Image) else Path(like)).predictor(device)


def _photo(image: Picture) -> Photo:
    photo = (
        image_io.from_image(image) if isinstance(image, Image.Image) else image_io.load(Path(image))
    )
    for note in photo.notes:
        _log.info("%s", note)
    return photo


def _recipe(given: Recipe | str | os.PathLike[str]) -> Recipe:
    if isinstance(given, Recipe):
        return given
    if isinstance(given, str) and "{" in given:
        return recipes.of_text(given)
    return recipes.of_file(Path(given))
