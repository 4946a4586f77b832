"""Recipes from wherever they are kept: JSON, infotexts of a web UI, results of nulie's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import image_io
from ..errors import RecipeError
from ..image_io import shown_path
from ..recipe import Recipe
from ..transforms import check
from .inputs import SUFFIXES, reading

TEXT_KEY = "nulie"
"""Where a picture's text keeps the recipe that made it."""
INFOTEXT_KEY = "NUlIE recipe"
"""Where a web UI's infotext does."""
_QUOTED = re.compile(rf'{INFOTEXT_KEY}: ("(?:\\.|[^\\"])+")')


def read(given: str | Path | Mapping[str, Any]) -> Recipe:
    """From a file, a text, or the data of a JSON text. Raises: RecipeError, ImageError."""
    if isinstance(given, Path):
        return of_file(given)
    return of_text(given if isinstance(given, str) else json.dumps(given))


def of_text(text: str) -> Recipe:
    """The recipe of a JSON text, or of an infotext with one in it. Raises: RecipeError."""
    text = text.strip()
    if not text:
        raise RecipeError("there is no recipe; paste one, or an infotext with one")
    quoted = _QUOTED.search(text)
    if quoted:
        try:
            text = str(json.loads(quoted[1]))
        except ValueError:
            raise RecipeError("the infotext's recipe is damaged") from None
    return check(Recipe.from_json(text))


def of_file(path: Path, name: str = "") -> Recipe:
    """From a JSON file or a picture of nulie's, called `name`. Raises: RecipeError, ImageError."""
    shown = name or shown_path(path)
    with reading(shown, RecipeError, "is no recipe; give a JSON file or an image"):
        if path.suffix.lower() not in SUFFIXES:
            return of_text(path.read_text(encoding="utf-8-sig"))
        text = image_io.load(path, name=shown).metadata.text.get(TEXT_KEY, "")
        if not text:
            raise RecipeError("holds no recipe; nulie writes one into its results")
        return of_text(text)
