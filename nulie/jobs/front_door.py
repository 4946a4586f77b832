"""What `nulie.enhance`, `nulie.apply` and `nulie.score` do: a job on pictures in memory, in one
call. To watch a search or to stop it, use `nulie.engine.Enhancement`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from .. import image_io, transforms
from ..engine import Enhancement, Finished, Result
from ..errors import RecipeError, SettingsError
from ..image_io import Photo
from ..predictor import Predictor, exact_form
from ..predictor.loaded import PREDICTORS
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..transforms.preview import shrink

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

Picture = Image.Image | str | os.PathLike[str]
"""A picture in memory, of any mode, or the path of one."""


def enhance(
    image: Picture,
    *,
    predictor: str | Predictor = "auto",
    device: str = "auto",
    **settings: Any,
) -> Result:
    """The best version of an image that a search finds.

    >>> result = nulie.enhance("examples/faded.jpg", evaluations=200, predictor="statistics")
    >>> result.terms.score > result.base.score
    True

    `result.image` has what the input had: transparency, and in its `info` the colour profile, EXIF
    and texts. `result.recipe` says what was done. If nothing beats the input, the image is a copy
    of it and the recipe is empty. The input itself is never changed.

    `settings` are the fields of `nulie.settings.Settings`, such as `seconds=30` or `mode="hard"`;
    with `evaluations` alone there is no limit of time. `predictor` is a name, the path of a file
    made by `nulie fit`, or an object (see `nulie.predictor.Predictor`). One that is loaded by name
    stays in memory; `device` says where to.

    Raises: TypeError on a setting that does not exist, else a NulieError: SettingsError,
    ImageError, PredictorError."""
    chosen = _settings(settings)
    judge = _predictor(predictor, device)
    photo = _photo(image)
    for event in Enhancement(photo.pixels, judge, chosen).events():
        if isinstance(event, Finished):
            result = event.result
    text = {"nulie": result.recipe.to_json()} if result.variants else {}
    return replace(result, image=image_io.to_image(photo, result.image, text=text))


def apply(recipe: Recipe | str | os.PathLike[str], image: Picture) -> Image.Image:
    """An image with a recipe applied to it, without a search.

    >>> nulie.apply('{"nulie": 1, "steps": [{"op": "invert"}]}', "examples/cat.png").size
    (451, 300)

    The recipe may be a `Recipe`, its JSON, or the path of a file that holds it: JSON, or an image
    that nulie wrote. The result keeps what the image had, as `enhance` does.

    Raises: RecipeError, ImageError."""
    known = _recipe(recipe)
    photo = _photo(image)
    pixels = transforms.render(known, photo.pixels)
    return image_io.to_image(photo, pixels, text={"nulie": known.to_json()})


def score(
    images: Iterable[Picture], *, predictor: str | Predictor = "auto", device: str = "auto"
) -> list[float]:
    """What a predictor says of images as they are, in their order; more is better.

    >>> images = ["examples/faded.jpg", "examples/cat.png"]
    >>> [round(score) for score in nulie.score(images, predictor="statistics")]
    [7, 9]

    By CLIP scores are about 1 to 10, as people rate photos. `statistics` says how much is left to
    mend, so it compares versions of one photo, not different photos. `predictor` and `device` are
    those of `enhance`.

    Raises: ImageError on the first image that cannot be read, PredictorError."""
    if isinstance(images, (Image.Image, str, os.PathLike)):
        raise TypeError("score takes several images; put a single one into a list")
    judge = exact_form(_predictor(predictor, device))
    previews = (shrink(_photo(image).pixels, judge.input_size) for image in images)
    scores: list[float] = []
    while batch := list(islice(previews, judge.batch_size)):
        scores += _scores(batch, judge)
    return scores


def _settings(values: dict[str, Any]) -> Settings:
    if values.get("evaluations") is not None:
        values.setdefault("seconds", None)
    return Settings(**values)


def _predictor(predictor: str | Predictor, device: str) -> Predictor:
    if not isinstance(predictor, (str, os.PathLike)):
        if device != "auto":
            raise SettingsError("a device is for a predictor's name; an object has its own")
        return predictor
    found, note = PREDICTORS.get(os.fspath(predictor), device)
    if note:
        _log.warning("%s", note)
    return found


def _photo(image: Picture) -> Photo:
    photo = (
        image_io.from_image(image) if isinstance(image, Image.Image) else image_io.load(Path(image))
    )
    for note in photo.notes:
        _log.warning("%s", note)
    return photo


def _recipe(given: Recipe | str | os.PathLike[str]) -> Recipe:
    if isinstance(given, Recipe):
        return given
    if isinstance(given, str) and "{" in given:
        return Recipe.from_json(given)
    path = Path(given)
    try:
        return Recipe.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return Recipe.from_json(image_io.read_text(path).get("nulie", ""))
    except OSError as e:
        raise RecipeError(f"{image_io.shown_path(path)}: cannot be read ({e.strerror})") from None


def _scores(batch: Sequence[torch.Tensor], predictor: Predictor) -> list[float]:
    """Of previews of different images; together where the predictor has a way to take them."""
    together = getattr(predictor, "predict", None)
    if together is not None:
        return [float(score) for score in together(batch).scores]
    return [float(predictor.judge(preview)(preview[None]).scores[0]) for preview in batch]
