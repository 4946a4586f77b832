"""Ways to spoil photographs, as cameras, lenses and hasty hands do it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..color import to_levels, to_linear
from ..predictor.balance import balanced
from .parts import levels


def spoil(images: torch.Tensor, generator: torch.Generator, *, casts: bool = True) -> torch.Tensor:
    """`[B, 3, H, W]` float32 levels 0..255, each left alone or spoiled as cameras, lenses and hasty
    hands do it: grain first, then a chain of one to three of the ways below, with or without
    `casts`, rounded to levels after each."""
    count = len(images)
    length = _choose(_LENGTHS, count, generator)
    often = [weight * (casts or spoiled is not _cast) for weight, _, spoiled in _WAYS]
    reach = 0.6 + 0.6 * torch.rand(count, generator=generator)
    images = images.clone()
    grainy = ((torch.rand(count, generator=generator) < GRAINY) & (length > 0)).nonzero()[:, 0]
    if len(grainy):
        part = images[grainy]
        sigma = MOST_GRAIN * torch.rand(len(grainy), 1, 1, 1, generator=generator)
        images[grainy] = levels(part + sigma * torch.randn(part.shape, generator=generator))
    for depth in range(3):
        way = _choose(often, count, generator)
        way[length <= depth] = -1
        size, sign = torch.rand(2, count, generator=generator)
        for number, (_, dull, spoiled) in enumerate(_WAYS):
            rows = (way == number).nonzero()[:, 0]
            if len(rows):
                dial = (reach * size * torch.where(sign < dull, -1.0, 1.0))[rows]
                images[rows] = levels(spoiled(images[rows], dial.view(-1, 1, 1, 1), generator))
    return images


def _choose(weights: Sequence[float], count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.multinomial(torch.tensor(weights), count, True, generator=generator)


def tinged(images: torch.Tensor, stops: torch.Tensor) -> torch.Tensor:
    """`[B, 3, H, W]` levels in light of another colour, in which green is by `stops`, `[B, 2]` or
    alike, lighter than red and than blue; greys stay as light."""
    pixels = balanced(images.flatten(2).clamp(0, 255) / 255, -stops.view(-1, 2))
    return 255 * pixels.view(images.shape)


# The ways to spoil: levels `[B, 3, H, W]` and a dial `[B, 1, 1, 1]` about -1..1, neutral at 0, the
# duller below it.


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def _brightness(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    return images * 2**dial


def _contrast(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    mean = _grey(images).mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * 2**dial


def _gamma(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    return 255 * (images / 255) ** (2**-dial)


def _saturation(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    grey = _grey(images)
    return grey + (images - grey) * 3**dial


def _exposure(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    """By up to two stops, in linear light."""
    return 255 * to_levels((to_linear(images.clamp(0, 255) / 255) * 4**dial).clamp(0, 1))


def _cast(images: torch.Tensor, dial: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Light of another colour: by up to two stops between red and blue, and half as much between
    those and green."""
    tint = dial.abs() * (torch.rand(dial.shape, generator=generator) - 0.5)
    return tinged(images, torch.cat([-dial - tint, dial - tint], 1))


def _autocontrast(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    """By as much as the dial is off its centre, cutting one pixel in a hundred on either side."""
    ordered = images.flatten(2).sort(-1).values
    cut = ordered.shape[-1] // 100
    low, high = ordered[..., cut, None, None], ordered[..., -1 - cut, None, None]
    stretched = (images - low) * 255 / (high - low).clamp(min=1)
    return images + (stretched - images) * dial.abs().clamp(max=1)


def _haze(images: torch.Tensor, dial: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Light air before all: up to two thirds of it, of a grey from 160 to 255, a little blue."""
    share = (0.6 * dial.abs()).clamp(max=0.67)
    air = 160 + 95 * torch.rand(dial.shape, generator=generator)
    blue = 12 * torch.rand(dial.shape, generator=generator)
    air = torch.cat([air - blue, air, air + blue], 1)
    return images * (1 - share) + air * share


def _faded(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    """Black is lifted, or white lowered."""
    narrower = images * (255 - 40 * dial.abs()) / 255
    return narrower + 40 * dial.clamp(min=0)


_WAYS = (
    (1.0, 0.6, _brightness),
    (1.0, 0.6, _contrast),
    (1.0, 0.6, _gamma),
    (1.0, 0.6, _saturation),
    (0.4, 0.7, _exposure),
    (1.2, 0.5, _cast),
    (0.1, 0.5, _autocontrast),
    (0.5, 0.5, _haze),
    (0.1, 0.5, _faded),
)
"""How often, how often to the duller side, and what."""
_LENGTHS = (0.12, 0.23, 0.45, 0.2)
"""How often a chain has none of them, one, two, three."""
GRAINY, MOST_GRAIN = 0.15, 12.0
"""Share of the spoiled ones that have grain before all else, and its largest standard deviation in
levels: what is lightened later brings it out."""
