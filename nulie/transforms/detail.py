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


def box_radius(radius: float) -> float:
    """Radius of the box that, applied `PASSES` times, has a Gaussian's variance.

    Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering"
    (2011), as Pillow applies it."""
    variance = radius * radius / PASSES
    whole = math.floor((math.sqrt(12.0 * variance + 1.0) - 1.0) / 2.0)
    part = (2 * whole + 1) * (whole * (whole + 1) - 3.0 * variance)
    return whole + part / (6.0 * (variance - (whole + 1) * (whole + 1)))


def box_weights(box: torch.Tensor) -> torch.Tensor:
    """`[B]` box radii -> `[B, N]`, the weight of the taps 0, 1, ... N - 1 away from the middle.

    The outermost taps carry the fraction of the radius; weights are Pillow's 24-bit ones."""
    whole = box.floor()
    inner = (2.0**24 / (2 * box + 1)).floor()
    outer = ((2.0**24 - (2 * whole + 1) * inner) / 2).floor()
    taps = box.new_tensor(range(int(whole.max()) + 2))
    reach = whole[:, None]
    return ((taps <= reach) * inner[:, None] + (taps == reach + 1) * outer[:, None]) / 2.0**24


def box_blur(image: torch.Tensor, weights: torch.Tensor, axis: int) -> torch.Tensor:
    """One pass along an axis of `[B, 3, H, W]` float32 levels, the ends repeated, rounded."""
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
    return out.add_(0.5).floor_()


def gaussian(batch: torch.Tensor, radii: list[float]) -> torch.Tensor:
    """Pillow's Gaussian blur of `[B, 3, H, W]` uint8 by radii in pixels, rounded after each pass
    as Pillow does, so that no level is off by more than one."""
    image = batch.float()
    weights = box_weights(image.new_tensor([box_radius(r) for r in radii]))
    for axis in (3, 2):
        for _ in range(PASSES):
            image = box_blur(image, weights, axis)
    return image.clamp_(0, 255).byte()


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
        tolerance=1,
        merge=lambda first, second: {"radius": math.hypot(first["radius"], second["radius"])},
    )
)
