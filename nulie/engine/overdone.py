"""Whether a photo was overdone already: then its colour or contrast may fall.

The guards hold what a photo has. One whose contrast was stretched or whose colours were turned up
until they clipped has more than it should, and only what is too much can be mended by less.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..recipe.settings import Settings

LOOKED_AT = 1 << 17
"""Pixels of a photo that are looked at, at most."""
GAPS = 0.1
"""Share of a histogram's levels without pixels from which on it was stretched in 8 bits: none of
300 good photos has so many, and every one of the same with 1.4 times the contrast has."""
CLIPPED = 0.3
"""Share of pixels of a strong colour with a channel at its end: 1 of 100 good photos has so many,
a third of the same with 1.5 times the saturation, two thirds with 3 times."""
STRONG = 64
"""Levels between the channels of a strong colour."""
ENOUGH = 10
"""Pixels that the levels around a gap have, at least, on average."""
TAIL = 0.02
"""Share of the pixels at either end of a histogram in which gaps are nothing special."""


def yield_guards(settings: Settings, image: Image.Image) -> tuple[Settings, list[str]]:
    """The settings without those guards that would keep an RGB image as overdone as it is, and a
    line for the user on each."""
    pixels = _some(image)
    notes = []
    gaps, clipped = _gaps(pixels) >= GAPS, _clipped(pixels) >= CLIPPED
    if gaps and settings.min_contrast:
        settings = replace(settings, min_contrast=0.0)
        notes.append("the contrast was stretched before, so it may be reduced (--min-contrast)")
    if (gaps or clipped) and settings.min_color:
        settings = replace(settings, min_color=0.0)
        what = "colours are clipped" if clipped else "levels were stretched before"
        notes.append(f"the {what}, so there may be less colour (--min-color)")
    return settings, notes


def _some(image: Image.Image) -> npt.NDArray[np.uint8]:
    """`[N, 3]`: pixels at equal distances, none of them mixed of others."""
    scale = min(1.0, (LOOKED_AT / (image.width * image.height)) ** 0.5)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.NEAREST)).reshape(-1, 3)


def _gaps(pixels: npt.NDArray[np.uint8]) -> float:
    """Share of levels that few pixels have and their neighbours do not lack, of the channel that
    has the fewest of them."""
    shares = []
    for channel in pixels.T:
        counts = np.bincount(channel, minlength=256)
        first, last = np.searchsorted(
            counts.cumsum(), [TAIL * len(pixels), (1 - TAIL) * len(pixels)]
        )
        around = np.convolve(counts, np.ones(7) / 7, "same")
        if last - first > 20:
            gaps = (counts < 0.1 * around) & (around >= ENOUGH)
            shares.append(float(gaps[first:last].mean()))
    return min(shares, default=0.0)


def _clipped(pixels: npt.NDArray[np.uint8]) -> float:
    """Share of pixels of a strong colour of which a channel is 0 or 255."""
    most, least = pixels.max(1), pixels.min(1)
    return float((((most == 255) | (least == 0)) & (most - least > STRONG)).mean())
