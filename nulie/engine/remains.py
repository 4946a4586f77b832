"""What is left between two pictures that no recipe takes away, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

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

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Remains:
    """Shares of the squared CIELAB distance that is left; together about 1."""

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
    size = shrink(before, SIZE).shape
    inputs, made, aim = (_lab(image) for image in (before, result, wanted))
    rest = aim - made
    total = max(float((rest**2).sum()), 1e-9)
    by_color = _by_color(np.asarray(shrink(before, SIZE).permute(1, 2, 0)), rest)
    places = rest - by_color
    smooth = _smooth(places)
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[2] * 1j]
    away = x**2 + y**2
    away = (away - away.mean())[..., None]
    radial = away * (smooth * away).sum((0, 1)) / max(float((away**2).sum()), 1e-9)
    shares = [float((part**2).sum()) / total for part in (by_color, radial, smooth - radial)]
    color, ring, local = shares
    fine = max(0.0, 1 - sum(shares))
    alike = _alike(made[..., 0], aim[..., 0])
    toned = _toned(aim) and not _toned(inputs)
    left = float(np.sqrt((rest**2).sum(-1)).mean())
    words = _words(color, ring, local, fine, alike, toned) if left >= NOTHING else ()
    return Remains(color, ring, local, fine, alike, toned, words)


def _words(
    color: float, radial: float, local: float, fine: float, alike: float, toned: bool
) -> tuple[str, ...]:
    said = []
    if alike < ALIKE:
        said.append("the pictures do not lie on one another: cropped, turned, warped or retouched")
    if toned:
        said.append(
            "it is black and white in a tone, to which saturation and white balance come near only"
        )
    for share, what in (
        (color, "depends on color alone: single colors or curves were changed"),
        (radial, "grows or shrinks towards the corners: a vignette"),
        (local, "changes over the picture at equal color: local edits, masks or gradients"),
        (fine, "changes from pixel to pixel: sharpening, denoising, grain or compression"),
    ):
        if share >= TOLD:
            said.append(f"{share * 100:.0f}% of it {what}")
    return tuple(said)


def _lab(image: Image.Image) -> Floats:
    """`[H, W, 3]`."""
    seen = lab(shrink(image, SIZE)[None])[0].permute(1, 2, 0)
    return seen.double().numpy()


def _by_color(pixels: npt.NDArray[np.uint8], rest: Floats) -> Floats:
    """Of each pixel the mean of `rest`, `[H, W, 3]`, over all that have about its color."""
    bins = (pixels // 16).astype(np.int64) @ np.array([256, 16, 1])
    # Few pixels of a color say little of it.
    counts = np.bincount(bins.ravel(), minlength=4096) + 10
    sums = [np.bincount(bins.ravel(), plane.ravel(), 4096) for plane in rest.transpose(2, 0, 1)]
    means: Floats = np.stack(sums, -1) / counts[:, None]
    spread: Floats = means[bins]
    return spread


def _smooth(planes: Floats, radius: float = SIZE / 16) -> Floats:
    """Each of three planes blurred."""
    blur = ImageFilter.BoxBlur(radius)
    blurred = []
    for plane in planes.transpose(2, 0, 1):
        low, high = plane.min(), max(plane.max(), plane.min() + 1e-6)
        levels = Image.fromarray(((plane - low) / (high - low) * 255).round().astype(np.uint8))
        blurred.append(np.asarray(levels.filter(blur), float) / 255 * (high - low) + low)
    return np.stack(blurred, -1)


def _alike(made: Floats, aim: Floats) -> float:
    """Correlation of what is finer than a hundredth of the short side or so; 1 where nothing is."""
    details = [p - _smooth(np.repeat(p[..., None], 3, -1), SIZE / 48)[..., 0] for p in (made, aim)]
    one, other = (d - d.mean() for d in details)
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    if size < 0.25 * one.size:  # less than half a unit: there is no detail
        return 1.0
    return float((one * other).sum()) / size


def _toned(picture: Floats) -> bool:
    """Whether a picture, `[H, W, 3]` CIELAB, has one color at each lightness."""
    light = picture[..., 0].astype(np.int64).clip(0, 100).ravel() // 5
    colors = picture[..., 1:].reshape(-1, 2)
    counts = np.maximum(np.bincount(light, minlength=21), 1)
    means = np.stack([np.bincount(light, c, 21) / counts for c in colors.T], -1)
    spread = np.hypot(*(colors - means[light]).T).mean()
    return bool(spread < GREY < np.hypot(*colors.T).mean())
