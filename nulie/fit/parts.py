"""Parts of photographs, of which examples are made."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from PIL import Image
from torch.nn import functional

from ..predictor.statistics import Statistics

PHOTO_SIDE = 192
"""Short side to which photographs are reduced when they are taken in."""
SPOILED_SIDE = 96
"""Short side at which parts are spoiled, before they shrink to the predictor's size."""
PARTS, VARIANTS = 8, 8
"""Parts of photographs in a chunk of examples, and how many times each is spoiled."""


def taken(photo: Image.Image) -> torch.Tensor:
    """`[3, H, W]` uint8 with a short side of at most `PHOTO_SIDE`."""
    scale = min(1.0, PHOTO_SIDE / min(photo.size))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    small = photo.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    raw = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
    return raw.view(size[1], size[0], 3).permute(2, 0, 1).contiguous()


def draw(
    photos: Sequence[torch.Tensor], generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """`PARTS` random parts of `[3, H, W]` uint8 photographs, all of one shape and `VARIANTS` times
    each: `[PARTS * VARIANTS, 3, H, W]` float32 levels, and the numbers of their photographs."""
    numbers = torch.randint(len(photos), (PARTS,), generator=generator)
    chosen = [photos[number] for number in numbers.tolist()]
    height, width = chosen[0].shape[1:]
    squeezed = math.exp(uniform(generator, -0.15, 0.15))
    aspect = min(2.0, max(0.5, width / height * squeezed))
    size = _size(SPOILED_SIDE, aspect)
    parts = torch.cat([_part(photo, aspect, size, generator) for photo in chosen])
    return parts.repeat_interleave(VARIANTS, 0), numbers.repeat_interleave(VARIANTS)


def small(parts: torch.Tensor) -> torch.Tensor:
    """Parts as the predictor sees them, uint8."""
    scale = Statistics.input_size / min(parts.shape[2:])
    size = tuple(round(side * scale) for side in parts.shape[2:])
    shrunk = functional.interpolate(parts, size, mode="bicubic", antialias=True)
    return levels(shrunk).to(torch.uint8)


def _size(short_side: int, aspect: float) -> tuple[int, int]:
    """Height and width."""
    if aspect >= 1:
        return short_side, round(short_side * aspect)
    return round(short_side / aspect), short_side


def _part(
    photo: torch.Tensor, aspect: float, size: tuple[int, int], generator: torch.Generator
) -> torch.Tensor:
    """`[1, 3, *size]` float32 levels: a random part of about that aspect, at times mirrored."""
    height, width = photo.shape[1:]
    share = 1.0 if uniform(generator) < 0.3 else uniform(generator, 0.6, 1)
    h = max(1, int(share * min(height, width / aspect)))
    w = max(1, int(share * min(width, height * aspect)))
    top = int(uniform(generator) * (height - h + 1))
    left = int(uniform(generator) * (width - w + 1))
    part = photo[None, :, top : top + h, left : left + w].float()
    if uniform(generator) < 0.5:
        part = part.flip(-1)
    part = functional.interpolate(part, size, mode="bilinear", antialias=True)
    return levels(part)


def levels(values: torch.Tensor) -> torch.Tensor:
    """Rounded as an 8-bit image would be."""
    return (values + 0.5).floor().clamp(0, 255)


def uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))
