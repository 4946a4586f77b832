"""Ops that mix the channels of a pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from ..recipe import Dial
from .base import Measured, Op, Values, register
from .tone import FACTOR

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

GREY = (19595, 38470, 7471)
"""Pillow's weights of R, G, B in mode L, in 65536ths (ITU-R BT.601 luma)."""


def grey(batch: torch.Tensor) -> torch.Tensor:
    """`[B, 3, H, W]` uint8 -> `[B, 1, H, W]` int32, the levels of Pillow's mode L."""
    wide = batch.int()
    mixed = wide[:, 0:1] * GREY[0] + wide[:, 1:2] * GREY[1] + wide[:, 2:3] * GREY[2]
    return (mixed + 0x8000) >> 16


def blend(start: torch.Tensor, end: torch.Tensor, amount: npt.NDArray[np.float64]) -> torch.Tensor:
    """Pillow's `Image.blend`, of uint8 or int32 images by a `[B]` amount; uint8."""
    start32 = start.float()
    mixed = start32 + start32.new_tensor(amount).view(-1, 1, 1, 1) * (end.float() - start32)
    return mixed.clamp(0, 255).byte()


def saturation_tensor(batch: torch.Tensor, values: Values, _: Measured) -> torch.Tensor:
    return blend(grey(batch), batch, values["factor"])


def hue_matrix(shift: float) -> tuple[float, ...]:
    """Nine numbers, row by row, that turn RGB about the grey axis and keep its luminance.

    The hueRotate matrix of W3C's Filter Effects Module Level 1 (feColorMatrix), so `shift` turns
    are CSS's `hue-rotate(shift * 360deg)`. Unlike a way through 8-bit HSV it makes no bands."""
    red, green, blue = 0.213, 0.715, 0.072
    c, s = math.cos(2 * math.pi * shift), math.sin(2 * math.pi * shift)
    return (
        *(red + c * (1 - red) - s * red, green - c * green - s * green),
        *(blue - c * blue + s * (1 - blue), red - c * red + s * 0.143),
        *(green + c * (1 - green) + s * 0.140, blue - c * blue - s * 0.283),
        *(red - c * red - s * (1 - red), green - c * green + s * green),
        blue + c * (1 - blue) + s * blue,
    )


def hue_pil(image: Image.Image, shift: float) -> Image.Image:
    m = hue_matrix(shift)
    return image.convert("RGB", (*m[0:3], 0, *m[3:6], 0, *m[6:9], 0))


def saturation_deep(levels: Floats, factor: float) -> Floats:
    grey: Floats = levels @ np.array([GREY], np.float32).T / np.float32(0x10000)
    mixed: Floats = grey + np.float32(factor) * (levels - grey)
    return mixed


def hue_tensor(batch: torch.Tensor, values: Values, _: Measured) -> torch.Tensor:
    wide = batch.float()
    # [B, 3, 3] in the precision of Pillow's C code; the sums run in its order, too.
    m = wide.new_tensor([hue_matrix(v) for v in values["shift"]]).view(-1, 3, 3, 1, 1)
    mixed = m[:, :, 0] * wide[:, 0:1] + m[:, :, 1] * wide[:, 1:2] + m[:, :, 2] * wide[:, 2:3]
    return (mixed + 0.5).clamp(0, 255).byte()


# fmt: off
register(
    Op("saturation", "scales colourfulness; 0 is grey", (FACTOR,),
       lambda image, factor: ImageEnhance.Color(image).enhance(factor), tensor=saturation_tensor,
       deep=saturation_deep),
    Op("hue", "turns all colours about the grey axis",
       (Dial("shift", -0.5, 0.5, neutral=0.0, unit="turn", hard=(-0.1, 0.1)),),
       hue_pil, tensor=hue_tensor, tolerance=1,
       deep=lambda levels, shift: levels @ np.array(hue_matrix(shift), np.float32).reshape(3, 3).T),
)
# fmt: on
