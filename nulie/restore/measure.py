"""What a photo needs: how strongly it was compressed, how noisy it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[Any]

_LUMINANCE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
"""Quantisation of luminance at quality 50: ITU-T T.81, annex K."""
_FREQUENCIES = [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 3), (3, 0), (1, 2), (2, 1)]
"""Of a block, those by which the steps of quantisation are told: low ones are seldom all zero."""
_QUALITIES = range(5, 93)
"""Finer steps are lost in the rounding of pixels to levels."""
_LEAST_RHYTHM = 0.4
_LEAST_COUNT = 40
"""How much of a rhythm quantised values show, of 1, and how many different ones must be there.
Without JPEG 94 photographs showed 0.22 at most, with quality 85 and below 0.6 and more."""
_SIDE = 2048
"""Of the middle part that is looked at, in pixels."""
BLOCK = 16
"""Side of the blocks in which noise is measured."""
_COLOR_NOISE, _GREY_NOISE = 3.0, 4.0
"""Levels from which on noise is plain. Photographs without any measured 1.3 at most of the one, and
3.5 of the other; white noise of 5 measures 4.6 and 4.8, and more."""


def jpeg_quality(image: Image.Image) -> int | None:
    """With which quality an RGB image was once compressed, wherever it is kept now; None where no
    traces of JPEG are found. Finds qualities of 5 to 92 with the standard's tables, about.

    The coefficients of blocks of a JPEG are multiples of a step. Their mean cosine of that period
    tells the step: near 1 for multiples, near 0 for a picture that was never compressed."""
    luma = _luma(image)
    if min(luma.shape) < 64:
        return None
    # Nearly always the first block is whole; else it was cut.
    for top, left in dict.fromkeys([(0, 0), _grid(luma)]):
        coefficients = _coefficients(luma[top:, left:])
        rhythms = [_rhythm(coefficients, quality) for quality in _QUALITIES]
        best = max(rhythms)
        if best >= _LEAST_RHYTHM:
            # Half a step fits as well: the largest that fits about as well as any is the one.
            pairs = zip(_QUALITIES, rhythms, strict=True)
            return next(quality for quality, rhythm in pairs if rhythm >= 0.85 * best)
    return None


def noise(image: Image.Image) -> float:
    """The standard deviation of an RGB image's noise, in levels; 0 where none is plain.

    It is looked for in the flattest tenth of the blocks: as differences of colors, of which the
    structures of a photograph have hardly any; without those, as in grey pictures, at the highest
    frequencies. Noise of a camera, whose pixels are not independent of one another, has few of
    these, and more in places that are not flat, so more is added for it."""
    pixels = np.asarray(_middle(image), np.float32)
    if min(pixels.shape[:2]) < BLOCK:
        return 0.0
    fine = _finest(pixels)
    colors = _between_colors(pixels)
    if colors < _COLOR_NOISE:
        return fine if fine >= _GREY_NOISE else 0.0
    white = min(1.0, max(0.0, (fine / colors - 0.5) / 0.45))
    return colors * (1.4 - 0.34 * white)


def _finest(pixels: Pixels) -> float:
    """Standard deviation of white noise, by the Haar wavelet's diagonal details."""
    height, width = (length // BLOCK * BLOCK for length in pixels.shape[:2])
    pixels = pixels[:height, :width]
    a, b = pixels[::2, ::2], pixels[::2, 1::2]
    c, d = pixels[1::2, ::2], pixels[1::2, 1::2]
    half = BLOCK // 2
    shape = (height // BLOCK, half, width // BLOCK, half, 3)
    details = np.square((a - b - c + d) / 2).reshape(shape).mean(axis=(1, 3, 4)).ravel()
    smooth = ((a + b + c + d) / 4).reshape(shape)
    flatness = smooth.var(axis=(1, 3)).mean(-1).ravel()
    middle = smooth.mean(axis=(1, 3, 4)).ravel()
    sigma = 5.0
    for _ in range(2):
        # Where noise is clipped, there is less of it to be seen.
        seen = (middle > 2.5 * sigma) & (middle < 255 - 2.5 * sigma)
        if seen.sum() < 10:
            seen = np.ones_like(seen)
        flattest = np.argsort(flatness[seen])[: max(1, int(seen.sum()) // 10)]
        sigma = float(np.sqrt(details[seen][flattest].mean()))
    return sigma


def _between_colors(pixels: Pixels) -> float:
    """Standard deviation of red less green and of blue less green, over the root of 2, in the tenth
    of the blocks that have least of it beside a curved surface."""
    height, width = (length // BLOCK * BLOCK for length in pixels.shape[:2])
    pixels = pixels[:height, :width]
    shape = (height // BLOCK, BLOCK, width // BLOCK, BLOCK, -1)
    middle = pixels.reshape(shape).mean(axis=(1, 3, 4)).ravel()
    seen = (middle > 25) & (middle < 230)
    if seen.sum() < 10:
        seen = np.ones_like(seen)
    differences = pixels[..., ::2] - pixels[..., 1:2]
    blocks = differences.reshape(shape).transpose(0, 2, 1, 3, 4).reshape(-1, BLOCK**2, 2)[seen]
    y, x = np.mgrid[:BLOCK, :BLOCK].reshape(2, -1)
    surfaces, _ = np.linalg.qr(np.stack([np.ones(BLOCK**2), x, y, x * y, x**2, y**2], 1))
    surfaces = surfaces.astype(np.float32)
    energy = np.square(blocks).sum(1) - np.square(surfaces.T @ blocks).sum(1)
    spread = np.sort(energy.mean(1).clip(0) / (BLOCK**2 - 6))
    return float(np.sqrt(spread[: max(1, len(spread) // 10)].mean() / 2))


def _coefficients(luma: Pixels) -> list[Pixels]:
    """For each of `_FREQUENCIES` those of all whole blocks, `[N]`."""
    height, width = (length // 8 * 8 for length in luma.shape)
    blocks = luma[:height, :width].reshape(height // 8, 8, -1, 8)
    basis = _cosines()
    return [np.einsum("aibj,i,j->ab", blocks, basis[v], basis[u]) for v, u in _FREQUENCIES]


def _rhythm(coefficients: Sequence[Pixels], quality: int) -> float:
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    total, count, distinct = 0.0, 0, 0
    for (v, u), values in zip(_FREQUENCIES, coefficients, strict=True):
        step = max(1, int(_LUMINANCE[v, u] * scale + 0.5))  # as libjpeg rounds
        large = values[np.abs(values) > 0.6 * step]
        total += float(np.cos(2 * np.pi / step * large).sum())
        count += len(large)
        distinct += len(np.unique(large.round(1)))
    # A drawing that repeats itself has few values, which may fit any step by chance.
    return total / count if distinct >= _LEAST_COUNT else 0.0


def _grid(luma: Pixels) -> tuple[int, int]:
    """Where the first whole block begins: borders of blocks are steps."""
    return tuple(  # type: ignore[return-value]
        (int(np.argmax(_borders(luma if axis == 0 else luma.T))) + 1) % 8 for axis in (0, 1)
    )


def _borders(luma: Pixels) -> Pixels:
    """For each of 8 offsets, how much the rows below are set apart from those above."""
    step = (
        np.abs(luma[2:-1] - luma[1:-2])
        - (np.abs(luma[1:-2] - luma[:-3]) + np.abs(luma[3:] - luma[2:-1])) / 2
    )
    rows = np.median(np.clip(step, -4, 4), axis=1)
    rows += 1e-3 * np.clip(step, -4, 4).mean(axis=1)
    return np.array([rows[(k - 1) % 8 :: 8].mean() for k in range(8)])


def _cosines() -> Pixels:
    """`[8, 8]`: the rows of the orthonormal discrete cosine transform."""
    k, n = np.mgrid[:8, :8]
    rows = np.cos(np.pi * k * (2 * n + 1) / 16) / 2
    rows[0] /= np.sqrt(2)
    basis: Pixels = rows.astype(np.float32)
    return basis


def _luma(image: Image.Image) -> Pixels:
    red, green, blue = np.asarray(_middle(image), np.float32).transpose(2, 0, 1)
    luma: Pixels = 0.299 * red + 0.587 * green + 0.114 * blue - 128  # as JPEG has it
    return luma


def _middle(image: Image.Image) -> Image.Image:
    width, height = image.size
    left, top = (max(0, (length - _SIDE) // 2) // 8 * 8 for length in (width, height))
    return image.crop((left, top, min(width, left + _SIDE), min(height, top + _SIDE)))
