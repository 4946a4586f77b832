"""Which part of a picture a generated image is: what was painted in, or a tile of a script's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..recipe import Recipe


@dataclass(frozen=True)
class Painted:
    """What of an image was painted in by img2img."""

    box: tuple[int, int, int, int]
    mask: Image.Image
    """Of the box: white where it was painted."""

    @classmethod
    def of(cls, p: Any, image: Image.Image) -> Painted | None:
        """None where all of it was. `p` is the web UI's processing."""
        mask = getattr(p, "mask_for_overlay", None)
        # Of another size: an older web UI hands over the part alone, and puts it back by itself.
        if mask is None or mask.size != image.size:
            return None
        mask = mask.convert("L")
        box = mask.getbbox()
        return cls(box, mask.crop(box)) if box else None

    def put(self, image: Image.Image, part: Image.Image) -> Image.Image:
        """The image with another part in the box, as far as the mask lets it."""
        image = image.copy()
        image.paste(part, self.box, self.mask)
        return image


@dataclass(frozen=True)
class _Last:
    """The last tile."""

    source: Any
    image: Image.Image
    recipe: Recipe


def in_tiles(p: Any) -> bool:
    """Whether a script has img2img make images that are not kept as they are: SD upscale and the
    like put a picture together of them."""
    script = getattr(p, "script_args", None) or (0,)
    return bool(script[0] and getattr(p, "do_not_save_samples", False) and _source(p) is not None)


def recipe_of_tiles(p: Any) -> Recipe | None:
    """That of the tile before this one: one recipe for all of them, or their borders would show.
    None for the first one, and where images are made of the same source or of the one before."""
    last: _Last | None = getattr(p, "nulie_last_tile", None)
    if last is None or not in_tiles(p):
        return None
    known = any(_source(p) is image for image in (last.source, last.image))
    return None if known else last.recipe


def keep_recipe(p: Any, image: Image.Image, recipe: Recipe) -> None:
    """For the tiles after this one, whose image goes to the web UI."""
    if in_tiles(p):
        p.nulie_last_tile = _Last(_source(p), image, recipe)


def _source(p: Any) -> Any:
    """The image that this one is made of; None for txt2img."""
    sources = getattr(p, "init_images", None)
    return sources[min(getattr(p, "batch_index", 0), len(sources) - 1)] if sources else None
