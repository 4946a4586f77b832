"""What is left between two pictures that no recipe takes away, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from ..color import lab
from ..transforms.preview import shrink

SIZE = 192
"""Short side of the pictures that are compared."""
NOTHING = 1.0
"""CIE76 units: less than that hardly anybody sees."""
ALIKE = 0.6
"""Correlation of fine detail, at least, of pictures that lie on one another."""
GREY = 3.0
"""Mean chroma of a picture without color, or of the spread about its tone."""
TOLD = 0.15
"""Share of what is left that is worth a word."""
KINDS = {
    "color": "depends on color alone: single colors or curves were changed",
    "radial": "grows or shrinks towards the corners: a vignette",
    "local": "changes over the picture at equal color: local edits, masks or gradients",
    "fine": "changes from pixel to pixel: sharpening, denoising, grain or compression",
}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Remains:
    """Shares of the squared CIELAB distance that is left, about 1 together, and more."""

    color: float
    """What depends on the input's color alone: some curve, or a look-up table."""
    radial: float
    """What depends on the way from the middle: a vignette, or one taken out."""
    local: float
    """The rest of what changes slowly over the picture: brushes, masks, gradients."""
    fine: float
    """What changes from pixel to pixel: sharpening, noise, grain, compression."""
    alike: float
    """Correlation of the detail of both pictures, -1..1."""
    toned: bool
    """Whether the wanted picture is black and white, perhaps in a tone, and the input was not."""
    words: tuple[str, ...]
    """The same for people; empty when hardly anything is left."""


def remains(before: Image.Image, result: Image.Image, wanted: Image.Image) -> Remains:
    """What is between a recipe's `result` and what is `wanted`, of RGB pictures of one size;
    `before` is what the recipe was applied to."""
    small = shrink(before, SIZE)
    inputs, made, aim = (_lab(image) for image in (before, result, wanted))
    rest = aim - made
    by_color = _by_color(small.flatten(1).numpy(), rest)
    smooth = _smooth(rest - by_color, SIZE // 16)
    y, x = np.mgrid[-1 : 1 : small.shape[1] * 1j, -1 : 1 : small.shape[2] * 1j]
    away = x**2 + y**2
    away -= away.mean()
    radial = away * (smooth * away).sum((1, 2), keepdims=True) / max((away**2).sum(), 1e-9)
    total = max((rest**2).sum(), 1e-9)
    color, ring, local = (
        float((part**2).sum() / total) for part in (by_color, radial, smooth - radial)
    )
    shares = dict(zip(KINDS, (color, ring, local, max(0.0, 1 - color - ring - local)), strict=True))
    alike = _alike(made[:1], aim[:1])
    toned = _toned(aim) and not _toned(inputs)
    said = [f"{share:.0%} of it {KINDS[kind]}" for kind, share in shares.items() if share >= TOLD]
    if toned:
        said.insert(0, "it is black and white in a tone, to which a recipe comes near only")
    if alike < ALIKE:
        said.insert(0, "the pictures do not lie on one another: cropped, turned or warped")
    seen = np.sqrt((rest**2).sum(0)).mean() >= NOTHING
    return Remains(**shares, alike=alike, toned=toned, words=tuple(said) if seen else ())


def _lab(image: Image.Image) -> Floats:
    """`[3, H, W]`."""
    return lab(shrink(image, SIZE)[None])[0].double().numpy()


def _by_color(pixels: npt.NDArray[np.uint8], rest: Floats) -> Floats:
    """Of each pixel, `[3, H * W]`, the mean of `rest`, `[3, H, W]`, over all of about its color."""
    bins = np.array([256, 16, 1]) @ (pixels // 16).astype(np.int64)
    # Few pixels of a color say little of it.
    counts = np.bincount(bins, minlength=4096) + 10
    means = [np.bincount(bins, plane.ravel(), 4096) / counts for plane in rest]
    return np.stack(means)[:, bins].reshape(rest.shape)


def _smooth(planes: Floats, radius: int) -> Floats:
    """`[C, H, W]`, each pixel the mean of those up to `radius` away."""
    mean = avg_pool2d(torch.from_numpy(planes), 2 * radius + 1, 1, radius, count_include_pad=False)
    return mean.numpy()


def _alike(made: Floats, aim: Floats) -> float:
    """Correlation of what is finer than a hundredth of the short side or so; 1 where nothing is."""
    one, other = (plane - _smooth(plane, SIZE // 48) for plane in (made, aim))
    one, other = one - one.mean(), other - other.mean()
    size = np.sqrt((one**2).sum() * (other**2).sum())
    # Less than half a unit is no detail.
    return float((one * other).sum() / size) if size >= 0.25 * one.size else 1.0


def _toned(picture: Floats) -> bool:
    """Whether a picture, `[3, H, W]` CIELAB, has one color at each lightness."""
    light = picture[0].astype(np.int64).clip(0, 100).ravel() // 5
    colors = picture[1:].reshape(2, -1)
    counts = np.maximum(np.bincount(light, minlength=21), 1)
    means = np.stack([np.bincount(light, c, 21) / counts for c in colors])
    spread = np.hypot(*(colors - means[:, light])).mean()
    return bool(spread < GREY < np.hypot(*colors).mean())
