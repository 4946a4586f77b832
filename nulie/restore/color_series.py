"""Colours for pictures that follow each other, such as frames of a film: carried along from one to
the next, so that what does not change keeps them, and guessed where something new is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from .. import color
from ..image_io import Photo
from . import colorize
from .color_models import Colorist

STILL = 1.0
"""Difference of L* up to which a place is as it was, and keeps its colours to the bit."""
KNOWN, NEW = 3.0, 6.0
"""Mean difference of L* around a place to the one that it is taken to have moved from: up to the
first its colours come along, from the second on they are guessed; both in between."""
REACH = 12
"""Places that something may have moved to either side, counted at the size of the guess."""
AROUND = 5
"""Places of a side of the square by which a place is known."""
RENEWED = 0.02
"""Share of new places from which on a picture is guessed, and what follows is compared to it."""
_COARSE = 4


@dataclass(frozen=True)
class _Anchor:
    """A picture that was coloured, at the size of the guess."""

    light: torch.Tensor
    """`[h, w]`: L*."""
    colors: torch.Tensor
    """`[2, h, w]`: a* and b*."""


class Series:
    """One scene after another, picture by picture."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another scene."""
        self._anchor: _Anchor | None = None
        self._box: tuple[int, int, int, int] | None = None

    def restore(self, photo: Photo, colorist: Colorist, params: Mapping[str, float | str]) -> Photo:
        """As `colorize.restore`, without hints, for the next picture, of the size of the last one.
        Where a place looks as it did, it comes out the same."""
        if self._box is None:
            self._box = colorize.inside(photo.pixels)
        inner = photo.pixels.crop(self._box)
        colors = self._colors(inner, colorist, params)
        return colorize.laid(photo, colorize.fitted(colors[None], inner), self._box)

    def _colors(
        self, picture: Image.Image, colorist: Colorist, params: Mapping[str, float | str]
    ) -> torch.Tensor:
        anchor = self._anchor
        if anchor is None:
            colors = colorize.guessed(picture, colorist, params)[0]
            self._anchor = _Anchor(_light(picture, colors), colors)
            return colors
        light = _light(picture, anchor.colors)
        carried, apart, moved = follow(light, anchor.light, anchor.colors)
        new = ((apart - KNOWN) / (NEW - KNOWN)).clamp(0, 1)
        many = float(new.mean()) > RENEWED
        if many:
            carried = carried.lerp(colorize.guessed(picture, colorist, params)[0], new)
        if many or moved > REACH / 2:
            self._anchor = _Anchor(light, carried)
        return carried


def follow(
    light: torch.Tensor, then: torch.Tensor, colors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Colours `[2, h, w]` of a picture of lightness `then` for one of lightness `light`, both
    `[h, w]`; how far, in L*, what is around each place differs from where they are from; and how
    far most of it has moved."""
    there = _moves(light, then)
    apart = _around((light - _at(then, there)).abs())
    still = functional.max_pool2d((light - then).abs()[None], AROUND, 1, AROUND // 2)[0] <= STILL
    there = torch.where(still, torch.zeros_like(there), there)
    apart = torch.where(still, torch.zeros_like(apart), apart)
    return _at(colors, there), apart, float(there.abs().amax(0).float().quantile(0.75))


def _moves(light: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
    """`[2, h, w]`: how many rows and columns away each place was, at most `REACH`."""
    now, before = (
        functional.avg_pool2d(x[None], _COARSE, ceil_mode=True)[0] for x in (light, then)
    )
    nowhere = torch.zeros(2, *now.shape, dtype=torch.long)
    rough = _best(now, before, nowhere, REACH // _COARSE) * _COARSE
    near = rough.repeat_interleave(_COARSE, 1).repeat_interleave(_COARSE, 2)
    return _best(light, then, near[:, : light.shape[0], : light.shape[1]], _COARSE // 2)


def _best(light: torch.Tensor, then: torch.Tensor, near: torch.Tensor, steps: int) -> torch.Tensor:
    """The moves among those `near`, and so many steps around, after which it looks most alike; of
    equal ones the shortest."""
    best = near
    least = torch.full(light.shape, torch.inf)
    ways = [(y, x) for y in range(-steps, steps + 1) for x in range(-steps, steps + 1)]
    for way in sorted(ways, key=lambda way: way[0] ** 2 + way[1] ** 2):
        there = near + torch.tensor(way).view(2, 1, 1)
        apart = _around((light - _at(then, there)).abs())
        better = apart < least - 0.05
        least = torch.where(better, apart, least)
        best = torch.where(better, there, best)
    return best


def _around(values: torch.Tensor) -> torch.Tensor:
    """Means of squares."""
    mean = functional.avg_pool2d(values[None], AROUND, 1, AROUND // 2, count_include_pad=False)
    return mean[0]


def _at(values: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """`[..., h, w]`: values at the places that lie so far away, or nearest to that."""
    height, width = values.shape[-2:]
    y = (torch.arange(height)[:, None] + there[0]).clamp(0, height - 1)
    x = (torch.arange(width) + there[1]).clamp(0, width - 1)
    return values[..., y, x]


def _light(picture: Image.Image, colors: torch.Tensor) -> torch.Tensor:
    """L* at the size of the colours."""
    height, width = colors.shape[-2:]
    small = np.array(picture.resize((width, height), Image.Resampling.BOX))
    light: torch.Tensor = color.lab(torch.from_numpy(small).permute(2, 0, 1)[None])[0, 0]
    return light
