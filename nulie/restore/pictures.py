"""Photos through restorers: what a network does not know of, transparency, grey, an exact size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from ..image_io import Photo
from ..image_io.photo import to_8_bits
from . import size, tiles
from .base import Restorer
from .tiles import Tell

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
    like a picture; beneath it colors are continued, so that none creeps in from there. Raises:
    ImageError, SettingsError on the size; what `tell` raises."""
    wanted = size.parse(str(params[SIZE])).of(*photo.size) if SIZE in params else None
    transparent = photo.transparent and restorer.scale > 1
    levels = _levels(photo)
    if photo.alpha is not None and transparent:
        levels = bleed(levels, np.asarray(photo.alpha))

    def share_of(part: float, whole: float) -> Tell:
        return lambda share: tell(part + whole * share)

    share = 0.5 if transparent else 1.0
    made = _through(levels, restorer, params, wanted, share_of(0.0, share))
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


def _levels(photo: Photo) -> np.ndarray:
    """`[H, W, 3]`, uint8 or uint16."""
    return np.array(photo.pixels) if photo.deep is None else photo.deep[..., :3].copy()


def _through(
    levels: np.ndarray,
    restorer: Restorer,
    params: Mapping[str, float | str],
    wanted: tuple[int, int] | None,
    tell: Tell,
) -> np.ndarray:
    """As often as it takes to be as large as wanted, then reduced to that."""
    height, width, _ = levels.shape
    if wanted is not None and wanted[0] <= width and wanted[1] <= height:
        return _resized(levels, wanted)
    if restorer.channels == 1:
        parts = [_once(levels[..., c : c + 1], restorer, params, tell) for c in range(3)]
        made = np.concatenate(parts, 2)
    else:
        made = _once(levels, restorer, params, tell)
    if wanted is None or restorer.scale == 1:
        return made
    return _through(made, restorer, params, wanted, tell)


def _once(
    levels: np.ndarray, restorer: Restorer, params: Mapping[str, float | str], tell: Tell
) -> np.ndarray:
    """`[H, W, C]` uint8 or uint16, once through the restorer."""
    wide = levels.astype(np.uint8 if levels.dtype == np.uint8 else np.int32)
    pixels = torch.from_numpy(wide).permute(2, 0, 1).contiguous()
    made, _ = tiles.run(restorer, pixels, params, tell=tell)
    made = _keep_mean(pixels, made)
    return made.permute(1, 2, 0).contiguous().numpy().astype(levels.dtype)


def _resized(levels: np.ndarray, wanted: tuple[int, int]) -> np.ndarray:
    """At another size, `(width, height)`, by Lanczos."""
    if levels.shape[1::-1] == wanted:
        return levels
    if levels.dtype == np.uint8:
        return np.array(Image.fromarray(levels).resize(wanted, Image.Resampling.LANCZOS))
    planes = (Image.fromarray(levels[..., c].astype(np.float32)) for c in range(levels.shape[2]))
    made = np.stack([np.asarray(p.resize(wanted, Image.Resampling.LANCZOS)) for p in planes], 2)
    reduced: np.ndarray = made.round().clip(0, 65535).astype(np.uint16)
    return reduced


def _keep_mean(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """`after` with the mean of each channel moved to that of `before`, where they differ by more
    than a tenth of a level. Both `[C, H, W]`; dithered, for a shift may be below a level."""
    most = tiles.most(before)
    shift = before.float().mean((1, 2)) - after.float().mean((1, 2))
    if float(shift.abs().max()) < 0.1 * most / 255:
        return after
    noise = torch.rand(after.shape[1:], generator=torch.Generator().manual_seed(0))
    for channel, by in enumerate(shift.tolist()):
        moved = after[channel].float() + by + noise
        after[channel] = moved.floor().clamp(0, most).to(after.dtype)
    return after


def bleed(levels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`[H, W, 3]` whose colors are continued to where nothing is to be seen of them: there they are
    what is left when the visible ones are averaged over larger and larger squares."""
    color = levels.astype(np.float32)
    weight = (alpha.astype(np.float32) / 255)[..., None]
    filled = _filled(color * weight, weight)
    kept: np.ndarray = np.where(weight > 0, color, filled)
    bled: np.ndarray = np.rint(kept).clip(0, np.iinfo(levels.dtype).max).astype(levels.dtype)
    return bled


def _filled(color: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Colors where `weight` is 0, from `[H, W, C]` colors times weights: pull and push."""
    height, width, _ = color.shape
    mean: np.ndarray = color / np.maximum(weight, 1e-6)
    if height * width == 1 or weight.min() > 0:
        return mean
    pad = ((0, height % 2), (0, width % 2), (0, 0))

    def halved(values: np.ndarray) -> np.ndarray:
        values = np.pad(values, pad)
        rows = values[::2] + values[1::2]
        mean: np.ndarray = (rows[:, ::2] + rows[:, 1::2]) / 4
        return mean

    below = _filled(halved(color), halved(weight))
    large = below.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    made: np.ndarray = np.where(weight > 0, mean, large)
    return made
