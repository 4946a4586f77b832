"""Pictures of any size through a restorer, in tiles that leave no seams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch.nn import functional

from .base import Restorer

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
    """`[C, H, W]` to `[C, scale H, scale W]`, on the CPU, and the side of the tiles. Levels have 8
    bits, as uint8, or 16, as int32.

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
    margin = OVERLAP // 2 if restorer.halo is None else restorer.halo
    rows, columns = (_even(length, side, margin, multiple) for length in size)
    down, across = (
        list(_spans(length, least, margin, multiple))
        for length, least in zip(size, (rows, columns), strict=True)
    )
    made = pixels.new_empty((channels, scale * size[0], scale * size[1]))
    strip = pixels.new_empty((channels, scale * rows, scale * size[1]))
    fade, done = restorer.halo is None, 0
    for y, top in down:
        for x, left in across:
            tell(done / (len(down) * len(across)))
            tile = pixels[None, :, y : y + rows, x : x + columns].float() / most(pixels)
            given = restorer.restore(tile, params)[0].float().clamp(0, 1) * most(pixels)
            given = given.cpu() if fade else given.round().to(pixels.dtype).cpu()
            _lay(strip, given, scale * x, scale * left, 2, fade)
            done += 1
        _lay(made, strip, scale * y, scale * top, 1, fade)
    tell(1.0)
    return made[:, : scale * height, : scale * width]


def most(pixels: torch.Tensor) -> int:
    """The highest level of these."""
    return 255 if pixels.dtype == torch.uint8 else 65535


def _even(length: int, side: int, margin: int, multiple: int) -> int:
    """The side of as many tiles as it takes, at most `side` each: none is moved far inwards then,
    to do again what others have done."""
    if length <= side:
        return length
    count = -(-(length - 2 * margin) // max(multiple, side - 2 * margin))
    least = -(-(length + 2 * margin * (count - 1)) // count)
    return min(side, max(LEAST, -(-least // multiple) * multiple))


def _spans(length: int, side: int, margin: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Where tiles begin along one side, and how much at the beginning of each is not to be used,
    for want of what lies before it."""
    step = max(multiple, (side - 2 * margin) // multiple * multiple)
    yield 0, 0
    begin = 0
    while begin + side < length:
        begin = min(begin + step, length - side)
        yield begin, margin


def _lay(
    made: torch.Tensor, given: torch.Tensor, begin: int, margin: int, axis: int, fade: bool
) -> None:
    """Lays levels along one side upon those that are made already, from `begin` on, without their
    first `margin`; or, to `fade`, so that they become visible little by little around there."""
    length = given.shape[axis]
    if fade and margin:
        # What is nearest to a border is worth nothing.
        ramp = ((torch.arange(2 * margin, device=given.device) + 0.5) / margin - 0.5).clamp(0, 1)
        width = min(2 * margin, length)
        ramp = ramp[:width].view(-1, *[1] * (given.ndim - 1 - axis))
        below = made.narrow(axis, begin, width)
        mixed = below.float().lerp(given.narrow(axis, 0, width).float(), ramp)
        below.copy_(mixed.round())
        margin = width
    kept = given.narrow(axis, margin, length - margin)
    made.narrow(axis, begin + margin, length - margin).copy_(kept.round())
