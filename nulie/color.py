"""CIELAB colours of 8-bit sRGB pixels, in batches."""

from __future__ import annotations

from functools import cache

import torch

# sRGB to XYZ with D65 white, IEC 61966-2-1; rows are divided by the white point (0.9505, 1,
# 1.0890), so that white is (1, 1, 1).
_TO_XYZ = (
    (0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505),
    (0.2126, 0.7152, 0.0722),
    (0.0193 / 1.0890, 0.1192 / 1.0890, 0.9505 / 1.0890),
)

LUMINANCE = _TO_XYZ[1]
"""What linear red, green and blue count in the light of a grey of the same lightness."""


def _linear(level: int) -> float:
    """Linear light of an sRGB level 0..255, IEC 61966-2-1."""
    v = level / 255
    return v / 12.92 if v <= 0.04045 else float(((v + 0.055) / 1.055) ** 2.4)


_LINEAR = [_linear(level) for level in range(256)]


@cache
def _constants(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Table of linear light `[256]` and matrix `[3, 3]`, made once for each device."""
    with torch.inference_mode(False):  # or a host's mode would bar them from gradients for ever
        return torch.tensor(_LINEAR, device=device), torch.tensor(_TO_XYZ, device=device)


@cache
def _inverse(device: torch.device) -> torch.Tensor:
    """Of the matrix to XYZ, `[3, 3]`."""
    with torch.inference_mode(False):
        matrix: torch.Tensor = torch.linalg.inv(torch.tensor(_TO_XYZ, dtype=torch.float64))
        return matrix.float().to(device)


def lab(pixels: torch.Tensor) -> torch.Tensor:
    """`[B, 3, ...]` uint8 sRGB -> `[B, 3, ...]` float32: L* in 0..100, a*, b* about -128..127.

    CIE 15:2004 with D65 white."""
    linear, _ = _constants(pixels.device)
    return from_light(linear.index_select(0, pixels.flatten().int()).view(pixels.shape))


def from_light(linear: torch.Tensor) -> torch.Tensor:
    """`[B, 3, ...]` float32 linear light in [0, 1] -> CIELAB, see `lab`; with gradients."""
    _, matrix = _constants(linear.device)
    xyz = torch.einsum("ij,bj...->bi...", matrix, linear)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-6) ** (1 / 3), xyz * 841 / 108 + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def to_light(lab: torch.Tensor) -> torch.Tensor:
    """`[B, 3, ...]` CIELAB -> linear light, the way back of `from_light`; outside [0, 1] where sRGB
    cannot show the colour."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], 1)
    xyz = torch.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841)
    return torch.einsum("ij,bj...->bi...", _inverse(lab.device), xyz)


def to_levels(linear: torch.Tensor) -> torch.Tensor:
    """Linear light in [0, 1] -> sRGB levels in 0..1, IEC 61966-2-1."""
    root = linear.clamp(min=0.0031308) ** (1 / 2.4)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * root - 0.055)


def to_linear(levels: torch.Tensor) -> torch.Tensor:
    """sRGB levels in 0..1 -> linear light, the way back of `to_levels`."""
    power = ((levels + 0.055) / 1.055) ** 2.4
    return torch.where(levels <= 0.04045, levels / 12.92, power)


def lightness(luminance: torch.Tensor) -> torch.Tensor:
    """Linear light of a grey, in [0, 1] -> its L*."""
    root = luminance.clamp(min=1e-6) ** (1 / 3)
    return torch.where(luminance > (6 / 29) ** 3, 116 * root - 16, luminance * (29 / 3) ** 3)


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean CIE76 distance between the pixels of `[B, 3, ...]` CIELAB images that broadcast; `[B]`.

    2.3 is about the least that a person notices (Mahy et al., 1994)."""
    # Not by norm(), which is slow along a dimension that is not the last.
    apart = (a - b).square().sum(1).sqrt()
    return apart.flatten(1).mean(1)
