"""Some pixels of a photo as they are, to read histograms from. A preview averages fine grain away,
so its histogram is narrower than the photo's, and ops that stretch a histogram would look far
stronger in it than they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from .detail import SHARPNESS_RADIUS, blur_pil

PIXELS = 512
"""As many as leave the cost of a preview of 64 x 96 about what it was."""
_LOOKED_AT = 1 << 17
"""Pixels that are drawn from; of a larger photo, those of a grid."""
_BLURRED = 512
"""Pixels of the short side, at least, that a large photo keeps to be blurred."""
_TAIL = 1e-4
"""Share of a channel's pixels at either end within which all are as likely to be drawn."""


@dataclass(frozen=True)
class Sample:
    """Pixels of a photo, more from the ends of the levels, which decide how far it is stretched."""

    pixels: npt.NDArray[np.uint8]
    """`[3, N]`."""
    blurred: npt.NDArray[np.uint8]
    """`[3, N]`: the same places of the photo blurred by `SHARPNESS_RADIUS`."""
    weights: npt.NDArray[np.int32]
    """`[N]`, 1 or more: for how many pixels each stands."""


def sample(image: Image.Image, *others: Image.Image, count: int = PIXELS) -> Sample:
    """`count` pixels of an RGB image, and of each of the `others`, the same each time.

    A pixel's chance is inverse to its rank from the nearer end of one of its channels, so that each
    halving of what remains of a tail holds about as many as the one before."""
    samples = [_sample(one, count) for one in (image, *others)]
    parts = zip(*((s.pixels, s.blurred, s.weights) for s in samples), strict=True)
    return Sample(*(np.concatenate(part, -1) for part in parts))


def _sample(image: Image.Image, count: int) -> Sample:
    scale = min(1.0, (_LOOKED_AT / (image.width * image.height)) ** 0.5)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pixels = _grid(image, size)
    tail = np.full(len(pixels), 0.5)
    for channel in pixels.T:
        below = np.bincount(channel, minlength=256).cumsum() / len(pixels)
        above = 1 - np.concatenate([[0.0], below[:-1]])
        tail = np.minimum(tail, np.minimum(below, above)[channel])
    chances = 1 / (tail + _TAIL)
    # By lightness, so that every level has its share.
    order = np.argsort(pixels @ np.array([2, 4, 1]), kind="stable")
    ends = chances[order].cumsum()
    at = (np.arange(count) + 0.5) * (ends[-1] / count)  # at equal distances
    chosen = order[np.searchsorted(ends, at).clip(max=len(ends) - 1)]
    weights = 1 / chances[chosen]
    weights *= image.width * image.height / weights.sum()
    small = image.reduce(max(1, min(image.size) // _BLURRED))
    blurred = _grid(blur_pil(small, SHARPNESS_RADIUS), size)
    whole = np.maximum(1, weights.round()).astype(np.int32)
    return Sample(pixels[chosen].T, blurred[chosen].T, whole)


def _grid(image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """`[N, 3]`: as many pixels as an image of `size` has, at equal distances, none mixed."""
    return np.asarray(image.resize(size, Image.Resampling.NEAREST)).reshape(-1, 3)
