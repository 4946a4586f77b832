"""Pictures small enough to travel inside HTML."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from ..jobs.look import scale_down

if TYPE_CHECKING:
    from ..image_io import Photo

LARGEST_PROFILE = 64 << 10
"""Bytes; larger profiles are a printer's, and no browser needs them for a preview."""


@dataclass(frozen=True)
class DataImage:
    """A picture as a data URI, and its size in pixels."""

    uri: str
    width: int
    height: int


def embed(pixels: Image.Image, photo: Photo, longest: int, *, quality: int = 90) -> DataImage:
    """`pixels` as they look: with the photo's colour profile and its transparency."""
    small = scale_down(pixels, longest)
    profile = photo.metadata.icc_profile
    if profile and (len(profile) > LARGEST_PROFILE or profile[16:20] == b"GRAY"):
        profile = None
    options = {"icc_profile": profile} if profile else {}
    stream = BytesIO()
    if photo.transparent and photo.alpha is not None:
        kind = "webp"
        small = small.copy()
        small.putalpha(photo.alpha.resize(small.size, Image.Resampling.BILINEAR))
        small.save(stream, "WEBP", quality=quality, **options)
    else:
        kind = "jpeg"
        small.save(stream, "JPEG", quality=quality, subsampling=0, **options)
    data = base64.b64encode(stream.getvalue()).decode()
    return DataImage(f"data:image/{kind};base64,{data}", small.width, small.height)
