"""A photo in memory: its pixels, and apart from them everything a file says beside them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from . import exif

Deep = npt.NDArray[np.uint16]

MOST_DPI = 65_535.0
"""What a JPEG has room for."""


@dataclass(frozen=True)
class Metadata:
    """What is kept of a file beside its pixels, already true for upright pixels."""

    icc_profile: bytes | None = None
    exif: bytes | None = None
    """TIFF structure without the "Exif" prefix; orientation 1, no thumbnail."""
    xmp: bytes | None = None
    """XMP packet of other programs; what nulie put there is in `text`."""
    text: Mapping[str, str] = field(default_factory=dict)
    """PNG text chunks, or what stands for them in formats that have none."""
    dpi: tuple[float, float] | None = None
    comment: str | None = None
    photoshop: bytes | None = None
    """Photoshop's resources: captions, credits."""
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    """PNG chunks that say what the numbers mean as colours, or what stands for them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """How the file was encoded, as options to write the same format again."""


@dataclass(frozen=True)
class Photo:
    """One picture as read: `pixels` is what ops work on, the rest waits for the writing."""

    pixels: Image.Image
    """RGB, 8 bit, upright."""
    alpha: Image.Image | None = None
    """L, of the same size; no op touches it."""
    grey: bool = False
    """The file was greyscale, and is written so as long as its pixels are grey."""
    format: str = "PNG"
    metadata: Metadata = field(default_factory=Metadata)
    path: Path | None = None
    notes: tuple[str, ...] = ()
    """Sentences for the user: what of the file is not worked on, or not kept."""
    deep: Deep | None = field(default=None, repr=False, compare=False)
    """`[H, W, 3]` or, with alpha, `[H, W, 4]`: the same picture at 16 bits a channel, where it has
    so many. Formats that hold them are written from it; `pixels` is what it is at 8."""

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.size

    @property
    def transparent(self) -> bool:
        """Whether a format without alpha would lose something."""
        return self.alpha is not None and self.alpha.getextrema() != (255, 255)

    def with_pixels(self, pixels: Image.Image, alpha: Image.Image | None = None) -> Photo:
        """The photo with other pixels, RGB, and none at 16 bits; the metadata follow their size,
        resolution, too, so that prints keep theirs, and so does alpha where it is not given."""
        if pixels.size == self.size:
            return replace(self, pixels=pixels, alpha=alpha or self.alpha, deep=None)
        if alpha is None and self.alpha is not None:
            alpha = self.alpha.resize(pixels.size, Image.Resampling.LANCZOS)
        metadata = self.metadata
        x, y = (now / was for now, was in zip(pixels.size, self.size, strict=True))
        if metadata.dpi is not None:
            finer = metadata.dpi[0] * x, metadata.dpi[1] * y
            metadata = replace(metadata, dpi=(min(finer[0], MOST_DPI), min(finer[1], MOST_DPI)))
        if metadata.exif is not None:
            with suppress(ValueError):  # damaged, and so states nothing
                said = exif.with_size(metadata.exif, pixels.size, (x, y))
                metadata = replace(metadata, exif=said)
        return replace(self, pixels=pixels, alpha=alpha, metadata=metadata, deep=None)


def to_8_bits(deep: Deep) -> npt.NDArray[np.uint8]:
    """The nearest levels of 8 bits."""
    return ((deep.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)
