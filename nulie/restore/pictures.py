"""Photos through restorers: what a network does not know of, transparency, grey, an exact size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

from .. import color
from ..image_io import Photo, icc
from ..image_io.photo import to_8_bits
from . import size, tiles
from .base import Restorer
from .tiles import Tell

CELL = 64
"""Side of the parts, in pixels, whose mean a restorer is not to change of which nothing is known:
some tint places. Below it lies what they are to change, of noise even most."""
SIZE = "size"
"""Parameter of a step that enlarges: a text that `size.parse` reads."""


def restore(
    photo: Photo,
    restorer: Restorer,
    params: Mapping[str, float | str],
    *,
    tell: Tell = lambda share: None,
) -> Photo:
    """The photo as the restorer gives it back; at an exact size where `params` have a `SIZE`.

    The mean of each channel is kept, grey stays grey, and 16 bits are 16. Transparency is enlarged
    like a picture; beneath it colors are continued, so that none creeps in from there. Networks
    know pictures of sRGB's curve: levels that are linear light by their profile go by that one
    meanwhile. Raises: ImageError, SettingsError on the size; what `tell` raises."""
    wanted = size.parse(str(params[SIZE])).of(*photo.size) if SIZE in params else None
    transparent = photo.transparent and restorer.scale > 1
    levels = _levels(photo)
    metadata = photo.metadata
    profile = metadata.icc_profile or icc.of_chunks(dict(metadata.png_chunks), grey=photo.grey)
    curves = _curves(levels.dtype) if profile and icc.is_linear(profile) else None
    if curves is not None:
        levels = curves[0][levels]
    if photo.alpha is not None and transparent:
        levels = bleed(levels, np.asarray(photo.alpha))

    def share_of(part: float, whole: float) -> Tell:
        return lambda share: tell(part + whole * share)

    share = 0.5 if transparent else 1.0
    made = _through(levels, restorer, params, wanted, share_of(0.0, share))
    if curves is not None:
        made = curves[1][made]
    if photo.grey:
        made = np.repeat(made.mean(2, keepdims=True).round().astype(made.dtype), 3, 2)
    alpha = None
    if photo.alpha is not None and transparent:
        shown = np.asarray(photo.alpha.convert("RGB"))
        larger = _through(shown, restorer, params, wanted, share_of(share, share))
        alpha = Image.fromarray(larger).convert("L")
    if photo.deep is None:
        return photo.with_pixels(Image.fromarray(made), alpha)
    after = photo.with_pixels(Image.fromarray(to_8_bits(made)), alpha)
    if photo.deep.shape[2] > 3 and after.alpha is not None:
        beside = photo.deep[..., 3:]
        if after.size != photo.size:
            beside = np.asarray(after.alpha)[..., None].astype(np.uint16) * 257
        made = np.concatenate([made, beside], 2)
    return replace(after, deep=made)


def _levels(photo: Photo) -> npt.NDArray[Any]:
    """`[H, W, 3]`, uint8 or uint16."""
    return np.array(photo.pixels) if photo.deep is None else photo.deep[..., :3].copy()


def _curves(kind: np.dtype[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Tables from levels of a kind that are linear light to those of sRGB's curve, uint16 for the
    dark ones' sake, and back."""
    most = np.iinfo(kind).max
    bent = color.to_levels(torch.arange(most + 1, dtype=torch.float64) / most).numpy()
    back = color.to_linear(torch.arange(65536, dtype=torch.float64) / 65535).numpy()
    return (65535 * bent).round().astype(np.uint16), (most * back).round().astype(kind)


def _through(
    levels: npt.NDArray[Any],
    restorer: Restorer,
    params: Mapping[str, float | str],
    wanted: tuple[int, int] | None,
    tell: Tell,
) -> npt.NDArray[Any]:
    """As often as it takes to be as large as wanted, then reduced to that."""
    height, width, _ = levels.shape
    if wanted is not None and wanted[0] <= width and wanted[1] <= height:
        return _resized(levels, wanted)
    if restorer.channels == 1:
        parts = [_once(levels[..., c : c + 1], restorer, params, tell) for c in range(3)]
        made: npt.NDArray[Any] = np.concatenate(parts, 2)
    else:
        made = _once(levels, restorer, params, tell)
    if wanted is None or restorer.scale == 1:
        return made
    return _through(made, restorer, params, wanted, tell)


def _once(
    levels: npt.NDArray[Any], restorer: Restorer, params: Mapping[str, float | str], tell: Tell
) -> npt.NDArray[Any]:
    """`[H, W, C]` uint8 or uint16, once through the restorer."""
    wide = levels.astype(np.uint8 if levels.dtype == np.uint8 else np.int32)
    pixels = torch.from_numpy(wide).permute(2, 0, 1).contiguous()
    made, _ = tiles.run(restorer, pixels, params, tell=tell)
    made = _keep_means(pixels, made, CELL if restorer.halo is None else None)
    return made.permute(1, 2, 0).contiguous().numpy().astype(levels.dtype)


def _resized(levels: npt.NDArray[Any], wanted: tuple[int, int]) -> npt.NDArray[Any]:
    """At another size, `(width, height)`, by Lanczos."""
    if levels.shape[1::-1] == wanted:
        return levels
    if levels.dtype == np.uint8:
        return np.array(Image.fromarray(levels).resize(wanted, Image.Resampling.LANCZOS))
    planes = (Image.fromarray(levels[..., c].astype(np.float32)) for c in range(levels.shape[2]))
    made = np.stack([np.asarray(p.resize(wanted, Image.Resampling.LANCZOS)) for p in planes], 2)
    reduced: npt.NDArray[Any] = made.round().clip(0, 65535).astype(np.uint16)
    return reduced


def _keep_means(before: torch.Tensor, after: torch.Tensor, cell: int | None) -> torch.Tensor:
    """`after` with the mean of each channel, or of each of its cells of `cell` pixels of `before`,
    moved to that of `before`, where they differ by more than a tenth of a level. Both `[C, H, W]`,
    the one that is larger by a whole factor; dithered, for a shift may be below a level."""
    most, scale = tiles.most(before), after.shape[2] // before.shape[2]
    sides = [(cell * by, cell * by) if cell else None for by in (1, scale)]
    shifts = [
        _means(was, sides[0]) - _means(made, sides[1])
        for was, made in zip(before, after, strict=True)
    ]
    if max(float(shift.abs().max()) for shift in shifts) < 0.1 * most / 255:
        return after
    height, width = after.shape[1:]
    noise = torch.rand((height, width), generator=torch.Generator().manual_seed(0))
    for made, shift in zip(after, shifts, strict=True):
        rows, columns = sides[1] or (height, width)
        size = (rows * shift.shape[0], columns * shift.shape[1])
        by = functional.interpolate(shift[None, None], size, mode="bilinear")[0, 0, :height, :width]
        made.copy_((by + noise).add_(made).floor_().clamp_(0, most))
    return after


def _means(levels: torch.Tensor, sides: tuple[int, int] | None) -> torch.Tensor:
    """`[H, W]` to `[h, w]`, of cells with such sides, or of all."""
    if sides is None:
        return levels.float().mean()[None, None]
    rows, columns = sides
    strips = (
        functional.avg_pool2d(
            strip[None].float(), (len(strip), min(columns, strip.shape[1])), ceil_mode=True
        )[0]
        for strip in torch.split(levels, rows)
    )
    return torch.cat(list(strips))


def bleed(levels: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`[H, W, 3]` whose colors are continued to where nothing is to be seen of them: there they are
    what is left when the visible ones are averaged over larger and larger squares."""
    color = levels.astype(np.float32)
    weight = (alpha.astype(np.float32) / 255)[..., None]
    filled = _filled(color * weight, weight)
    kept: npt.NDArray[Any] = np.where(weight > 0, color, filled)
    bled: npt.NDArray[Any] = np.rint(kept).clip(0, np.iinfo(levels.dtype).max).astype(levels.dtype)
    return bled


def _filled(color: npt.NDArray[Any], weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Colors where `weight` is 0, from `[H, W, C]` colors times weights: pull and push."""
    height, width, _ = color.shape
    mean: npt.NDArray[Any] = color / np.maximum(weight, 1e-6)
    if height * width == 1 or weight.min() > 0:
        return mean
    pad = ((0, height % 2), (0, width % 2), (0, 0))

    def halved(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = np.pad(values, pad)
        rows = values[::2] + values[1::2]
        mean: npt.NDArray[Any] = (rows[:, ::2] + rows[:, 1::2]) / 4
        return mean

    below = _filled(halved(color), halved(weight))
    large = below.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    made: npt.NDArray[Any] = np.where(weight > 0, mean, large)
    return made
