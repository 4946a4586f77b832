"""Photos through restorers: what a network does not know of, transparency, grey, an exact size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image

from ..image_io import Photo
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

    The mean of each channel is kept, and grey stays grey. Transparency is enlarged like a picture;
    beneath it colors are continued, so that none creeps in from there. Raises: ImageError,
    SettingsError on the size; what `tell` raises."""
    wanted = None
    if SIZE in params:
        wanted = size.parse(str(params[SIZE])).of(*photo.size)
        if wanted[0] <= photo.size[0] and wanted[1] <= photo.size[1]:
            return photo.with_pixels(photo.pixels.resize(wanted, Image.Resampling.LANCZOS))
    transparent = photo.transparent and restorer.scale > 1
    pixels = photo.pixels
    if photo.alpha is not None and transparent:
        pixels = bleed(pixels, photo.alpha)

    def share_of(part: float, whole: float) -> Tell:
        return lambda share: tell(part + whole * share)

    share = 0.5 if transparent else 1.0
    made = _through(pixels, restorer, params, wanted, share_of(0.0, share))
    if photo.grey:
        made = made.convert("L").convert("RGB")
    if photo.alpha is None or not transparent:
        return photo.with_pixels(made)
    alpha = _through(photo.alpha.convert("RGB"), restorer, params, wanted, share_of(share, share))
    return photo.with_pixels(made, alpha.convert("L"))


def _through(
    image: Image.Image,
    restorer: Restorer,
    params: Mapping[str, float | str],
    wanted: tuple[int, int] | None,
    tell: Tell,
) -> Image.Image:
    """As often as it takes to be as large as wanted, then reduced to that."""
    if restorer.channels == 1:
        parts = [_once(part, restorer, params, tell) for part in image.split()]
        image = Image.merge("RGB", parts)
    else:
        image = _once(image, restorer, params, tell)
    if wanted is None or image.size == wanted:
        return image
    larger = wanted[0] > image.width or wanted[1] > image.height
    if larger and restorer.scale > 1:
        return _through(image, restorer, params, wanted, tell)
    return image.resize(wanted, Image.Resampling.LANCZOS)


def _once(
    image: Image.Image, restorer: Restorer, params: Mapping[str, float | str], tell: Tell
) -> Image.Image:
    array = np.array(image)
    shaped = array[..., None] if array.ndim == 2 else array
    pixels = torch.from_numpy(shaped).permute(2, 0, 1).contiguous()
    made, _ = tiles.run(restorer, pixels, params, tell=tell)
    made = _keep_mean(pixels, made)
    return Image.fromarray(made.permute(1, 2, 0).squeeze(-1).contiguous().numpy())


def _keep_mean(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """`after` with the mean of each channel moved to that of `before`, where they differ by more
    than a tenth of a level. Both `[C, H, W]` uint8; dithered, for a shift may be below a level."""
    shift = before.float().mean((1, 2)) - after.float().mean((1, 2))
    if float(shift.abs().max()) < 0.1:
        return after
    noise = torch.rand(after.shape[1:], generator=torch.Generator().manual_seed(0))
    for channel, by in enumerate(shift.tolist()):
        moved = after[channel].float() + by + noise
        after[channel] = moved.floor().clamp(0, 255).to(torch.uint8)
    return after


def bleed(pixels: Image.Image, alpha: Image.Image) -> Image.Image:
    """RGB pixels whose colors are continued to where nothing is to be seen of them: there they are
    what is left when the visible ones are averaged over larger and larger squares."""
    color = np.asarray(pixels, np.float32)
    weight = (np.asarray(alpha, np.float32) / 255)[..., None]
    filled = _filled(color * weight, weight)
    kept = np.where(weight > 0, color, filled)
    return Image.fromarray(np.clip(np.rint(kept), 0, 255).astype(np.uint8))


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
