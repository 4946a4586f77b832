"""Ops on a pixel's neighbourhood. Lengths are shares of the image's short side, so that a small
preview shows what the full size will be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter

from ..space import Dial
from .base import Op, Param, register
from .color import blend
from .tone import FACTOR, HARD, SOFT, multiply

if TYPE_CHECKING:
    import torch

SHARPNESS_RADIUS = 0.003
"""Radius of the blur that sharpness works against, in short sides: as wide as the 3 x 3 kernel of
Pillow's ImageEnhance.Sharpness (standard deviation 0.68 pixels) on a preview of 224 pixels."""
PASSES = 3
"""Pillow's Gaussian blur is three box blurs in each direction."""


def blur_pil(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius * min(image.size)))


def sharpness_pil(image: Image.Image, factor: float) -> Image.Image:
    return Image.blend(blur_pil(image, SHARPNESS_RADIUS), image, factor)


def box_radius(radii: torch.Tensor) -> torch.Tensor:
    """`[B]` float32 radii -> of the boxes that, applied `PASSES` times, have a Gaussian's variance.

    Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering"
    (2011), in single and double precision where Pillow has them."""
    variance = radii * radii / PASSES
    length = (12 * variance.double() + 1).sqrt().float()
    whole = ((length.double() - 1) / 2).floor().float()
    part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    return whole + part / (6 * (variance - (whole + 1) * (whole + 1)))


def box_weights(radii: torch.Tensor) -> torch.Tensor:
    """`[B]` float32 radii in pixels -> `[B, N]` int32, the weight of the taps 0, 1, ... N - 1 away
    from the middle, in 2^-24 as Pillow has them. The outermost carry the fraction of the radius."""
    box = box_radius(radii)[:, None]
    whole = box.long()
    inner = (2**24 / (2 * box + 1)).long()
    outer = (2**24 - (2 * whole + 1) * inner) // 2
    taps = whole.new_tensor(range(int(whole.max()) + 2))
    return ((taps <= whole) * inner + (taps == whole + 1) * outer).int()


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


def gaussian(batch: torch.Tensor, radii: list[float]) -> torch.Tensor:
    """Pillow's Gaussian blur of `[B, 3, H, W]` uint8 by radii in pixels, to the bit."""
    image = batch.int()
    exact = image.new_empty(0).float().new_tensor(radii, device="cpu")
    weights = box_weights(exact).to(image.device)
    for axis in (3, 2):
        for _ in range(PASSES):
            image = box_blur(image, weights, axis)
    return image.byte()


def blur_tensor(batch: torch.Tensor, values: dict[str, torch.Tensor]) -> torch.Tensor:
    short = min(batch.shape[-2:])
    return gaussian(batch, [r * short for r in values["radius"].tolist()])


def blur_grain(
    pixels: torch.Tensor, blurred: torch.Tensor, values: dict[str, torch.Tensor]
) -> torch.Tensor:
    return blend(pixels, blurred, (values["radius"] / SHARPNESS_RADIUS).clamp(max=1))


def sharpness_grain(
    pixels: torch.Tensor, blurred: torch.Tensor, values: dict[str, torch.Tensor]
) -> torch.Tensor:
    return blend(blurred, pixels, values["factor"])


def sharpness_tensor(batch: torch.Tensor, values: dict[str, torch.Tensor]) -> torch.Tensor:
    radius = SHARPNESS_RADIUS * min(batch.shape[-2:])
    return blend(gaussian(batch, [radius] * len(batch)), batch, values["factor"])


register(
    Op(
        "sharpness",
        "strengthens fine detail above 1, weakens it below",
        (Param(FACTOR, SOFT, HARD),),
        sharpness_pil,
        tensor=sharpness_tensor,
        grain=sharpness_grain,
        tolerance=1,
        merge=multiply("factor"),
    )
)
register(
    Op(
        "blur",
        "Gaussian blur",
        (
            Param(
                Dial("radius", 0.0, 0.1, neutral=0.0, unit="short sides", step=0.0001),
                (0.0, 0.004),
                (0.0, 0.008),
            ),
        ),
        blur_pil,
        tensor=blur_tensor,
        grain=blur_grain,
        merge=lambda first, second: {"radius": math.hypot(first["radius"], second["radius"])},
    )
)
