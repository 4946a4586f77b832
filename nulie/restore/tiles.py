"""Pictures of any size through a restorer, in tiles that leave no seams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from torch.nn import functional

from .base import Restorer

if TYPE_CHECKING:
    import torch

OVERLAP = 32
"""Pixels by which tiles overlap where what a pixel depends on has no bounds."""
LEAST = 96
"""Side of the smallest tiles. With smaller ones kernels may add up in another order, and seams be
off by a bit."""

Tell = Callable[[float], None]
"""Is told the share of the work that is done, 0..1. Whatever it raises ends the work."""


def run(
    restorer: Restorer,
    pixels: torch.Tensor,
    params: Mapping[str, float | str],
    *,
    tell: Tell = lambda share: None,
    side: int | None = None,
) -> tuple[torch.Tensor, int]:
    """`[C, H, W]` uint8 to `[C, scale H, scale W]` uint8, on the CPU, and the side of the tiles.

    Tiles are of one shape, moved inwards at the edges. They overlap by the restorer's `halo`, and
    then the result is that of the whole picture at once, bit for bit; or, where that is None, by
    `OVERLAP`, and are faded into one another. `side` is that of a tile, `restorer.tile` if None;
    where the device's memory is too small for it, half of it is tried, down to `LEAST`.

    Raises: RuntimeError as torch does, on other errors; what `tell` raises."""
    side = max(LEAST, side or restorer.tile)
    while True:
        try:
            return _run(restorer, pixels, params, tell, side), side
        except RuntimeError as e:
            if "out of memory" not in str(e).lower() or side == LEAST:
                raise
        side = max(LEAST, side // 2)


def _run(
    restorer: Restorer,
    pixels: torch.Tensor,
    params: Mapping[str, float | str],
    tell: Tell,
    side: int,
) -> torch.Tensor:
    channels, height, width = pixels.shape
    multiple, scale = restorer.multiple, restorer.scale
    bottom, right = -height % multiple, -width % multiple
    if bottom or right:
        padded = functional.pad(pixels[None].float(), (0, right, 0, bottom), mode="replicate")
        pixels = padded[0].to(pixels.dtype)
    size = pixels.shape[1:]
    side = -(-side // multiple) * multiple
    rows, columns = (min(side, length) for length in size)
    margin = OVERLAP // 2 if restorer.halo is None else restorer.halo
    across = list(_spans(size[1], columns, margin, multiple))
    tiles = [(down, along) for down in _spans(size[0], rows, margin, multiple) for along in across]
    made = pixels.new_empty((channels, scale * size[0], scale * size[1]))
    for number, ((y, top), (x, left)) in enumerate(tiles):
        tell(number / len(tiles))
        tile = pixels[None, :, y : y + rows, x : x + columns].float() / 255
        given = restorer.restore(tile, params)[0].clamp(0, 1) * 255
        if restorer.halo is None:
            _fade(made, given.cpu(), (scale * y, scale * x), (scale * top, scale * left))
        else:
            kept = given[:, scale * top :, scale * left :].round().to(pixels.dtype).cpu()
            _, high, wide = kept.shape
            y, x = scale * (y + top), scale * (x + left)
            made[:, y : y + high, x : x + wide] = kept
    tell(1.0)
    return made[:, : scale * height, : scale * width]


def _spans(length: int, side: int, margin: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Where tiles begin along one side, and how much at the beginning of each is not to be used,
    for want of what lies before it."""
    step = max(multiple, (side - 2 * margin) // multiple * multiple)
    yield 0, 0
    begin = 0
    while begin + side < length:
        begin = min(begin + step, length - side)
        yield begin, margin


def _fade(
    made: torch.Tensor, given: torch.Tensor, at: tuple[int, int], margin: tuple[int, int]
) -> None:
    """Lays a tile over what is made already: at its first sides it becomes visible little by
    little, around the line where a tile without a halo would begin."""
    mask = given.new_ones(given.shape[1:])
    for axis, width in enumerate(margin):
        if width:
            ramp = (given.new_ones(2 * width).cumsum(0) - 0.5) / (2 * width)
            whole = given.new_ones(given.shape[1 + axis])
            whole[: 2 * width] = ramp[: len(whole)]
            mask = mask * (whole[:, None] if axis == 0 else whole)
    area = (slice(None), *(slice(a, a + n) for a, n in zip(at, given.shape[1:], strict=True)))
    below = made[area]
    # Where nothing is hidden there is nothing below yet.
    mixed = (mask < 1) * (1 - mask) * below.float() + mask * given
    made[area] = mixed.round().to(made.dtype)
