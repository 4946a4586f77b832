"""Photos without colour get some: a guess, laid on along the edges of the photo's lightness, which
stays exactly what it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

from .. import color
from ..image_io import Photo
from ..image_io.photo import to_8_bits
from . import hints
from .color_models import PLAIN, Colorist, Guess, Spot

OP = "colorize"
VARIANTS: Mapping[str, tuple[float, float]] = {
    "plain": (PLAIN, 1.0),
    "soft": (1.0, 1.0),
    "vivid": (PLAIN, 1.4),
}
"""Temperature of the annealed mean, and by how much the chroma is multiplied."""
MIDDLE = 640**2
"""Pixels at which colours are fitted to edges."""
SMOOTH = 4.0
"""Differences of L* that are no edge, and that colours do not follow."""
STRIP = 1 << 18
"""Pixels that are painted at once: they and what is computed of them stay in the cache."""
TONED = 4.0
"""By how much a* and b* of a toned picture differ at most, on the root mean square, from what is
usual at their lightness."""
PAPER = (12.0, 88.0)
"""L* above or below which the border of a scan is, and which it may differ by."""
EVEN = 2.5

Tell = Callable[[float], None]


def restore(
    photo: Photo, colorist: Colorist, params: Mapping[str, float | str], *,
    tell: Tell = lambda share: None,
) -> Photo:  # fmt: skip
    """The photo with the colours that the model guesses; those that it has count for nothing, so
    that a toned one is grey first. `params`: `temperature`; `variant`, one of `VARIANTS`;
    `strength`, 0..1, by which the chroma is multiplied; `hint1`, `hint2`, ...: texts of `Hint`.

    L* stays within 0.3 of the photo's: chroma is taken back where sRGB could not show it. The
    border of a scan gets no colour. 16 bits are 16. Raises: SettingsError on a hint, ModelError;
    what `tell` raises."""
    box = inside(photo.pixels)
    whole = box == (0, 0, *photo.size)
    inner = photo.pixels if whole else photo.pixels.crop(box)
    colors = guessed(inner, colorist, params, _spots(params, photo.size, box))
    return laid(photo, fitted(colors, inner), box, tell=tell)


def guessed(
    picture: Image.Image, colorist: Colorist, params: Mapping[str, float | str],
    spots: Sequence[Spot] = (),
) -> torch.Tensor:  # fmt: skip
    """`[1, 2, h, w]`: a* and b* of a picture without a border, by the `params` of `restore`."""
    usual, vivid = VARIANTS.get(str(params.get("variant")), VARIANTS["plain"])
    guess = colorist.guess(picture, float(params.get("temperature", usual)), spots)
    colors = guess.colors * (float(params.get("strength", 1.0)) * vivid)
    if spots and not guess.told:
        colors = spread(replace(guess, colors=colors), picture, spots)
    return colors


def laid(
    photo: Photo, paint: Paint, box: tuple[int, int, int, int], *,
    tell: Tell = lambda share: None,
) -> Photo:  # fmt: skip
    """The photo with such colours within the box."""
    levels = np.asarray(photo.pixels) if photo.deep is None else photo.deep[..., :3]
    made = np.empty_like(levels)
    rows = max(1, STRIP // photo.size[0])
    for top in range(0, photo.size[1], rows):
        tell(top / photo.size[1])
        _paint(levels, made, paint, box, slice(top, min(top + rows, photo.size[1])))
    if photo.deep is None:
        return photo.with_pixels(Image.fromarray(made))
    after = photo.with_pixels(Image.fromarray(to_8_bits(made)))
    return replace(after, deep=np.concatenate([made, photo.deep[..., 3:]], 2))


def in_color(picture: Image.Image) -> bool:
    """Whether an RGB picture has colours of its own, not those of a tone laid over the whole: then
    each lightness would have one."""
    small = picture.resize(_within(picture.size, 256**2), Image.Resampling.BOX)
    lightness, *chroma = color.lab(torch.from_numpy(np.array(small)).permute(2, 0, 1)[None])[0]
    ab = torch.stack(chroma).flatten(1)
    level = (lightness.flatten() / 4).long().clamp(0, 25)
    counts = torch.zeros(26).index_add_(0, level, torch.ones(level.shape))
    usual = torch.zeros(2, 26).index_add_(1, level, ab) / counts.clamp(min=1)
    apart = (ab - usual[:, level]).square().sum(0).mean().sqrt()
    return float(apart) > TONED


def inside(picture: Image.Image) -> tuple[int, int, int, int]:
    """The box within the border of a scan, of even paper or black, at most a quarter of a side
    wide on each; the whole where there is none."""
    width, height = picture.size
    small = picture.resize(_within(picture.size, 512**2), Image.Resampling.BOX).convert("L")
    levels = torch.from_numpy(np.array(small)).float()
    light = color.lab(levels.byte().expand(1, 3, -1, -1))[0, 0]
    left, right = _border(light.T), _border(light.T.flip(0))
    top, bottom = _border(light), _border(light.flip(0))
    across, down = width / small.width, height / small.height
    return (
        round(left * across), round(top * down),
        width - round(right * across), height - round(bottom * down),
    )  # fmt: skip


def _border(rows: torch.Tensor) -> int:
    """How many of the first rows of `[H, W]` are the border: even, alike, and ending at once."""
    most = len(rows) // 4
    means, spreads = rows[: most + 2].mean(1), rows[: most + 2].std(1, correction=0)
    if PAPER[0] < float(means[0]) < PAPER[1] or len(rows) < 16 or rows.shape[1] < 16:
        return 0
    even = (spreads < EVEN) & ((means - means[0]).abs() < EVEN)
    count = int(even.long().cumprod(0).sum())
    # A sky or a dark room grows out of the edge; paper ends.
    ends = 0 < count <= most and float(spreads[count : count + 2].max()) > 3 * EVEN
    return count + 1 if ends else 0


@dataclass(frozen=True)
class Paint:
    """a* and b* as straight lines of L*, for each place."""

    slopes: torch.Tensor
    """`[1, 2, h, w]`."""
    bases: torch.Tensor
    """Of the same shape: a* and b* at L* of 0."""


def fitted(colors: torch.Tensor, picture: Image.Image) -> Paint:
    """Colours `[1, 2, h, w]` fitted to the edges of the picture by a guided filter (He et al.
    2010), which says what a* and b* are by L*."""
    width, height = _within(picture.size, MIDDLE)
    small = picture.resize((width, height), Image.Resampling.BOX)
    guide = color.lab(torch.from_numpy(np.array(small)).permute(2, 0, 1)[None])[:, :1]
    radius = max(1, round(1.25 * max(height / colors.shape[2], width / colors.shape[3])))
    laid = functional.interpolate(colors, (height, width), mode="bilinear", align_corners=False)

    def mean(x: torch.Tensor) -> torch.Tensor:
        for across in (True, False):
            size = (1, 2 * radius + 1) if across else (2 * radius + 1, 1)
            pad = (0, radius) if across else (radius, 0)
            x = functional.avg_pool2d(x, size, 1, pad, count_include_pad=False)
        return x

    middle, level = mean(guide), mean(laid)
    slopes = (mean(guide * laid) - middle * level) / (
        mean(guide * guide) - middle * middle + SMOOTH**2
    )
    return Paint(mean(slopes), mean(level - slopes * middle))


def spread(guess: Guess, picture: Image.Image, spots: Sequence[Spot]) -> torch.Tensor:
    """The colours of a guess with those of the spots, which go as far as it is near, of similar
    lightness, and of what the model thinks the same."""
    colors, likeness = guess.colors, guess.likeness
    height, width = colors.shape[2:]
    small = picture.resize((width, height), Image.Resampling.BOX)
    lightness = color.lab(torch.from_numpy(np.array(small)).permute(2, 0, 1)[None])[0, 0]
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    aspect = picture.width / picture.height
    reach, wanted = [], []
    for spot in spots:
        row, column = int(min(spot.y * height, height - 1)), int(min(spot.x * width, width - 1))
        far = ((x - spot.x) * aspect).square() + (y - spot.y).square()
        apart = far / 0.25**2 + ((lightness - lightness[row, column]) / 12).square()
        if likeness is not None:
            alike = torch.einsum("chw,c->hw", likeness[0], likeness[0, :, row, column])
            apart = apart + (1 - alike).clamp(min=0) / 0.25
        reach.append(torch.exp(-apart))
        wanted.append(colors.new_tensor(spot[2:]))
    shares = torch.stack(reach)
    mixed = torch.einsum("nhw,nc->chw", shares, torch.stack(wanted)) / shares.sum(0).clamp(min=1e-9)
    return colors.lerp(mixed[None], shares.max(0).values)


def _spots(
    params: Mapping[str, float | str], size: tuple[int, int], box: tuple[int, int, int, int]
) -> list[Spot]:
    """The hints as points of the box, with the colours that they ask for."""
    spots = []
    for name, text in sorted(params.items()):
        if not name.startswith(hints.PARAM):
            continue
        hint = hints.parse(str(text), size)
        x = (hint.x * size[0] - box[0]) / (box[2] - box[0])
        y = (hint.y * size[1] - box[1]) / (box[3] - box[1])
        if 0 <= x <= 1 and 0 <= y <= 1:
            _, a, b = color.lab(torch.tensor(hint.color, dtype=torch.uint8).view(1, 3, 1)).flatten()
            spots.append(Spot(x, y, float(a), float(b)))
    return spots


def _paint(
    levels: npt.NDArray[Any],
    made: npt.NDArray[Any],
    paint: Paint,
    box: tuple[int, int, int, int],
    rows: slice,
) -> None:
    """Fills rows of `made`, both `[H, W, 3]`, uint8 or uint16, from those of `levels`."""
    left, top, right, bottom = box
    most = np.iinfo(levels.dtype).max
    light = _luminance(levels[rows])
    grey = light.expand(3, -1, -1).clone()
    first, last = max(rows.start, top), min(rows.stop, bottom)
    if first < last:
        part = (slice(first - rows.start, last - rows.start), slice(left, right))
        slopes, bases = (
            _enlarged(plane, (right - left, bottom - top), slice(first - top, last - top))
            for plane in (paint.slopes, paint.bases)
        )
        grey[:, part[0], part[1]] = colored(light[part], slopes, bases)
    done = color.to_levels(grey).mul_(most).round_().permute(1, 2, 0)
    made[rows] = done.to(torch.uint8 if most == 255 else torch.int32).numpy()


def _luminance(levels: npt.NDArray[Any]) -> torch.Tensor:
    """`[H, W, 3]` levels to `[H, W]`: the linear light of a grey of the same lightness."""
    table = _light(int(np.iinfo(levels.dtype).max))
    light = torch.zeros(levels.shape[:2])
    for channel, weight in enumerate(color.LUMINANCE):
        index = torch.from_numpy(levels[..., channel].astype(np.int32))
        light += weight * table.index_select(0, index.flatten()).view(index.shape)
    return light


@cache
def _light(most: int) -> torch.Tensor:
    """Linear light of each level from 0 to `most`."""
    return color.to_linear(torch.arange(most + 1, dtype=torch.float64) / most).float()


def colored(light: torch.Tensor, slopes: torch.Tensor, bases: torch.Tensor) -> torch.Tensor:
    """`[3, H, W]` linear light in 0..1 of luminance `light` `[H, W]`, with a* and b*
    `slopes * L* + bases`, both `[2, H, W]`, as far as sRGB can show them."""
    lightness = color.lightness(light)
    wanted = torch.stack([lightness, *(slopes * lightness + bases)])
    off = color.to_light(wanted[None])[0] - light
    # What is mixed of a colour and the grey of its luminance has that luminance, too.
    room = torch.where(off > 0, 1 - light, light) / off.abs().clamp_(min=1e-9)
    return (light + room.amin(0).clamp_(max=1) * off).clamp_(0, 1)


def _enlarged(plane: torch.Tensor, size: tuple[int, int], rows: slice) -> torch.Tensor:
    """`[C, n, W]`: some rows of `[1, C, h, w]` at the larger `size` `(W, H)`, in straight lines."""
    height = plane.shape[2]
    place = (torch.arange(rows.start, rows.stop) + 0.5) * (height / size[1]) - 0.5
    place = place.clamp(0, height - 1)
    above = place.long()
    below = (above + 1).clamp(max=height - 1)
    part = (place - above)[:, None]
    between = plane[:, :, above] * (1 - part) + plane[:, :, below] * part
    shape = (rows.stop - rows.start, size[0])
    return functional.interpolate(between, shape, mode="bilinear", align_corners=False)[0]


def _within(size: tuple[int, int], area: int) -> tuple[int, int]:
    """The size with no more than so many pixels, of the same shape."""
    scale = min(1.0, math.sqrt(area / (size[0] * size[1])))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
