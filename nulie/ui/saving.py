"""Results become files: names, formats, folders."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

from PIL import Image

from .. import image_io
from ..errors import ImageError, RecipeError
from ..image_io import Photo
from ..image_io.read import HAS_AVIF
from ..recipe import Recipe
from ..transforms import check
from .host import Host
from .session import Session

AS_IT_CAME = "as the photo"
FORMATS = {
    AS_IT_CAME: None,
    "PNG": ".png",
    "JPEG": ".jpg",
    "WebP": ".webp",
    "TIFF": ".tif",
    **({"AVIF": ".avif"} if HAS_AVIF else {}),
}


def folder(host: Host, session: Session) -> Path:
    """Where this visitor's files go."""
    results = host.results_folder()
    return results / session.folder if host.private else results


def new_folder(host: Host, session: Session, name: str) -> Path:
    """A folder of this visitor's for several files, that nobody else has. Raises: ImageError."""
    start = folder(host, session) / time.strftime(f"{name}-%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        made = start if number == 1 else start.with_name(f"{start.name}_{number}")
        try:
            made.mkdir(parents=True)
            return made
        except FileExistsError:
            continue
        except OSError as e:
            raise ImageError(f"{made}: cannot be made ({e.strerror})") from None
    raise AssertionError("there is always a free name")


def safe_name(name: str) -> str:
    """An upload's name without anything that means something to a file system, or to a page."""
    path = Path(name.replace("\\", "/"))
    stem = re.sub(r"[^\w .()+-]", "_", path.stem)[:80].strip(" .") or "photo"
    return stem + re.sub(r"[^\w.]", "", path.suffix)[:8]


def save(
    photo: Photo,
    name: str,
    image: Image.Image,
    recipe: Recipe,
    into: Path,
    *,
    score: dict[str, Any] | None = None,
    format: str = AS_IT_CAME,
    quality: int = 0,
) -> Path:
    """Writes a picture with all that its photo carried, under a name that is free.

    Raises: ImageError."""
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ImageError(f"{into}: cannot be made ({e.strerror})") from None
    target = image_io.default_output(Path(name), into, photo=photo)
    suffix = FORMATS.get(format)
    if suffix:
        target = target.with_suffix(suffix)
    data = {**json.loads(recipe.to_json()), **({"score": score} if score else {})}
    text = {"nulie": json.dumps(data)}
    for number in itertools.count(1):
        path = target if number == 1 else target.with_stem(f"{target.stem}_{number}")
        if path.exists():
            continue
        try:
            return image_io.save(photo, image, path, text=text, quality=quality or None)
        except ImageError:
            if not path.exists():  # else somebody was quicker with this name
                raise
    raise AssertionError("there is always a free name")


def read_recipe(path: Path, name: str) -> Recipe:
    """From a JSON file, or from a picture that nulie wrote. Raises: ImageError, RecipeError."""
    shown = safe_name(name)
    try:
        if path.suffix.lower() in (".json", ".txt"):
            text = path.read_text(encoding="utf-8")
        else:
            found = image_io.load(path, name=shown)
            text = found.metadata.text.get("nulie", "")
            if not text:
                raise RecipeError("holds no recipe; nulie writes one into its results")
        return check(Recipe.from_json(text))
    except UnicodeDecodeError:
        raise RecipeError(f"{shown}: is no text; give a JSON file or a result of nulie's") from None
    except OSError as e:
        raise RecipeError(f"{shown}: cannot be read ({e.strerror})") from None
    except RecipeError as e:
        raise RecipeError(f"{shown}: {e}") from None
