"""What a job colours, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SettingsError
from ..image_io import Photo
from ..recipe import ModelStep
from ..restore import color_models, hints
from ..restore.color_models import Colorist

AUTO = "auto"
OP = "colorize"
VARIANTS = ("plain", "soft", "vivid")
NAMES = ("colorize", "color_variant", "hint")


@dataclass(frozen=True)
class Coloring:
    model: str = color_models.OWN
    """A name or a file."""
    variant: str = VARIANTS[0]
    hints: tuple[str, ...] = ()
    """Texts for `hints.parse`."""


def read(given: Mapping[str, Any]) -> Coloring | None:
    """From values by `NAMES`: `colorize` is a model's name or file, True or `AUTO`; `hint` a text
    or several. A variant or a hint asks for colours, too. Raises: SettingsError."""
    model, variant = given.get("colorize") or None, given.get("color_variant") or None
    told = given.get("hint") or ()
    points = (told,) if isinstance(told, str) else tuple(map(str, told))
    if not (model or variant or points):
        return None
    if variant is not None and variant not in VARIANTS:
        known = ", ".join(VARIANTS)
        raise SettingsError(f"color-variant {variant!r} is unknown; known: {known}")
    if len(points) > hints.MOST:
        raise SettingsError(f"{hints.MOST} hints at most, not {len(points)}")
    for text in points:
        hints.parse(text)
    own = model in (None, True, AUTO)
    return Coloring(color_models.OWN if own else str(model), str(variant or VARIANTS[0]), points)


def of_text(value: str) -> dict[str, Any]:
    """Values by `NAMES` from what stands behind `colorize=` in a text: a variant, or nothing."""
    return {"colorize": AUTO, "color_variant": None if value == AUTO else value}


def to_text(wanted: Coloring) -> str:
    """The words that `of_text` reads."""
    return OP if wanted.variant == VARIANTS[0] else f"{OP}={wanted.variant}"


def step(photo: Photo, wanted: Coloring, model: Colorist, strength: float) -> ModelStep:
    """The step of a recipe that colours a photo so. Raises: SettingsError on a hint outside it."""
    from ..restore.colorize import VARIANTS as KNOWN

    params: dict[str, float | str] = {"variant": wanted.variant}
    params["temperature"] = KNOWN[wanted.variant][0]
    if strength < 1:
        params["strength"] = strength
    for number, text in enumerate(wanted.hints, 1):
        params[f"{hints.PARAM}{number}"] = str(hints.parse(text, photo.size))
    return ModelStep.of(OP, color_models.model_id(model), **params)


def in_color(photo: Photo) -> str:
    """A sentence that says so where the photo is in colour, and so needs none; else nothing."""
    from ..restore import colorize

    if not colorize.in_color(photo.pixels):
        return ""
    return "it is in colour already, and keeps its colours; --colorize is for black and white"
