"""Ops on a pixel's neighbourhood, in shares of the short side, so that previews show the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ..recipe import Dial
from .base import Measured, Op, Statistic, Values, register
from .color import Floats, blend
from .tone import FACTOR

if TYPE_CHECKING:
    import torch

SHARPNESS_RADIUS = 0.003
"""Radius of the blur that sharpness works against, in short sides: as wide as the 3 x 3 kernel of
Pillow's ImageEnhance.Sharpness (standard deviation 0.68 pixels) on a preview of 224 pixels."""
PASSES = 3
"""Pillow's Gaussian blur is three box blurs in each direction."""


def blur_pil(image: Image.Image, radius: float, short_side: int | None = None) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius * (short_side or min(image.size))))


def sharpness_pil(image: Image.Image, factor: float, short_side: int | None = None) -> Image.Image:
    return Image.blend(blur_pil(image, SHARPNESS_RADIUS, short_side), image, factor)


def box_radius(radii: Floats) -> Floats:
    """`[B]` float32 radii -> of the boxes that, applied `PASSES` times, have a Gaussian's variance.

    Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering"
    (2011), in single and double precision where Pillow has them."""
    variance = radii * radii / PASSES
    length = np.sqrt(12 * variance.astype(np.float64) + 1).astype(np.float32)
    whole = np.floor((length.astype(np.float64) - 1) / 2).astype(np.float32)
    part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    radius: Floats = whole + part / (6 * (variance - (whole + 1) * (whole + 1)))
    return radius


def box_weights(radii: Floats) -> npt.NDArray[np.int32]:
    """`[B]` float32 radii in pixels -> `[B, N]`, the weight of the taps 0, 1, ... N - 1 away from
    the middle, in 2^-24 as Pillow has them. The outermost carry the fraction of the radius."""
    box = box_radius(radii)[:, None]
    whole = box.astype(np.int64)
    # NumPy 1 would make doubles of 2**24 as a plain number, which are not rounded as Pillow's.
    inner = (np.float32(2**24) / (2 * box + 1)).astype(np.int64)
    outer = (2**24 - (2 * whole + 1) * inner) // 2
    taps = np.arange(whole.max() + 2)
    weights: npt.NDArray[np.int32]
    weights = ((taps <= whole) * inner + (taps == whole + 1) * outer).astype(np.int32)
    return weights


def box_blur(image: torch.Tensor, weights: torch.Tensor, axis: int) -> torch.Tensor:
    """One pass along an axis of `[B, 3, H, W]` int32 levels, the ends repeated, rounded.

    Whole numbers, because levels that lie half-way between two are common (a radius of 1 weighs
    by sixths) and must round as Pillow rounds them. Sums stay below 2^32: past 2^31 they wrap to
    negative numbers, of which the highest byte is the right one all the same."""
    size, reach = image.shape[axis], weights.shape[1] - 1
    padded = image.new_empty([n + 2 * reach * (d == axis) for d, n in enumerate(image.shape)])
    padded.narrow(axis, reach, size).copy_(image)
    padded.narrow(axis, 0, reach).copy_(image.narrow(axis, 0, 1))
    padded.narrow(axis, reach + size, reach).copy_(image.narrow(axis, size - 1, 1))
    columns = weights.view(*weights.shape, 1, 1, 1)
    out = padded.narrow(axis, reach, size) * columns[:, 0]
    for tap in range(1, reach + 1):
        pair = padded.narrow(axis, reach - tap, size) + padded.narrow(axis, reach + tap, size)
        out += pair.mul_(columns[:, tap])
    return out.add_(2**23).bitwise_right_shift_(24).bitwise_and_(255)


def gaussian(batch: torch.Tensor, radii: npt.NDArray[np.float64]) -> torch.Tensor:
    """Pillow's Gaussian blur of `[B, 3, H, W]` uint8 by `[B]` radii in pixels, to the bit."""
    image = batch.int()
    weights = image.new_tensor(box_weights(radii.astype(np.float32)))
    for axis in (3, 2):
        for _ in range(PASSES):
            image = box_blur(image, weights, axis)
    return image.byte()


def blur_deep(levels: Floats, radius: float, short_side: int) -> Floats:
    """The same blur of float32 levels `[H, W, 3]`, nothing rounded."""
    box = float(box_radius(np.array([radius * short_side], np.float32))[0])
    whole = int(box)
    out = np.empty_like(levels)
    for channel in range(levels.shape[-1]):
        plane = levels[..., channel]
        for axis in (1, 0):
            for _ in range(PASSES):
                ends = [(whole + 1,) * 2 if d == axis else (0, 0) for d in (0, 1)]
                padded = np.moveaxis(np.pad(plane, ends, "edge"), axis, -1)
                size = plane.shape[axis]
                sums = padded.cumsum(-1, dtype=np.float64)
                # All within the whole radius, and the two outermost by its fraction.
                mixed = sums[..., -1 - size : -1] - sums[..., :size]
                mixed += (box - whole) * (padded[..., :size] + padded[..., -size:])
                plane = np.moveaxis(mixed / (2 * box + 1), -1, axis).astype(np.float32)
        out[..., channel] = plane
    return out


def sharpness_deep(levels: Floats, factor: float, short_side: int) -> Floats:
    blurred = blur_deep(levels, SHARPNESS_RADIUS, short_side)
    sharp: Floats = blurred + np.float32(factor) * (levels - blurred)
    return sharp


def blur_tensor(batch: torch.Tensor, values: Values, measured: Measured) -> torch.Tensor:
    return gaussian(batch, values["radius"] * measured["short_side"])


def blur_grain(pixels: torch.Tensor, blurred: torch.Tensor, values: Values) -> torch.Tensor:
    return blend(pixels, blurred, np.minimum(values["radius"] / SHARPNESS_RADIUS, 1))


def sharpness_tensor(batch: torch.Tensor, values: Values, measured: Measured) -> torch.Tensor:
    blurred = gaussian(batch, SHARPNESS_RADIUS * measured["short_side"])
    return blend(blurred, batch, values["factor"])


def reach(radii: npt.NDArray[np.float64]) -> int:
    """How far the widest of Gaussian blurs of these radii in pixels looks."""
    taps: int = box_weights(radii.astype(np.float32)).shape[1]
    return PASSES * (taps - 1)


# fmt: off
LENGTH: dict[str, Any] = {
    "needs": "short side", "measures": (Statistic("short_side", low=1, high=1_000_000),),
    "measure": lambda _, short_side: {"short_side": short_side},
}
"""Of an op whose lengths are shares of the short side."""

register(
    Op("sharpness", "strengthens fine detail above 1, weakens it below", (FACTOR,),
       sharpness_pil, **LENGTH, tensor=sharpness_tensor, tolerance=1, deep=sharpness_deep,
       grain=lambda pixels, blurred, values: blend(blurred, pixels, values["factor"]),
       reach=lambda _, measured: reach(SHARPNESS_RADIUS * measured["short_side"])),
    Op("blur", "Gaussian blur",
       (Dial("radius", 0.0, 0.1, neutral=0.0, unit="short sides", step=0.0001,
             soft=(0.0, 0.004), hard=(0.0, 0.008)),),
       blur_pil, **LENGTH, tensor=blur_tensor, deep=blur_deep, grain=blur_grain,
       reach=lambda values, measured: reach(values["radius"] * measured["short_side"])),
)
# fmt: on
