"""What spoils a photograph for which restorers are trained: JPEG, noise of two kinds, a printed
page that was scanned.

Each takes `[H, W, 3]` uint8 and gives the spoiled picture alike, and the strength with which it was
spoiled, in the unit of the restorer's map."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[Any]
Spoil = Callable[[Pixels, np.random.Generator], tuple[Pixels, float]]

SHOT = (1e-4, 2e-2)
"""Range of shot noise in raw values of 0..1, after Brooks et al., "Unprocessing Images for Learned
Raw Denoising", 2019, a little wider at its upper end, for cameras of phones."""


def jpeg(clean: Pixels, rng: np.random.Generator, quality: int | None = None) -> tuple[Pixels, int]:
    """Compressed with `quality`, or a random one; mostly with halved color resolution, as cameras
    and editors do it."""
    if quality is None:
        quality = int(rng.integers(5, 99))
    stream = io.BytesIO()
    halved = 2 if rng.random() < 0.75 else 0
    Image.fromarray(clean).save(stream, "JPEG", quality=quality, subsampling=halved)
    return np.asarray(Image.open(stream).convert("RGB")), quality


def noise(clean: Pixels, rng: np.random.Generator) -> tuple[Pixels, float]:
    """White noise, or that of a camera, in equal parts; the strength is blurred by a fifth, for
    nobody knows it exactly where it counts."""
    if rng.random() < 0.5:
        sigma = rng.uniform(0, 60)
        added = rng.normal(0, sigma, clean.shape)
    else:
        low, high = map(math.log, SHOT)
        added = camera_noise(clean, math.exp(rng.uniform(low, high)), rng)
        sigma = math.sqrt(float(np.mean(added**2)))
    return to_levels(clean + added), sigma * math.exp(rng.normal(0, 0.15))


def camera_noise(clean: Pixels, shot: float, rng: np.random.Generator) -> Pixels:
    """What noise of a sensor becomes when a camera has developed it: `[H, W, 3]` float levels.

    The picture is taken back to raw values, both it and a noisy copy are developed, and the
    difference counts, so that nothing but noise is there to be learned. Shot and read noise, gains
    and the way back are those of Brooks et al. 2019 (see `SHOT`)."""
    read = math.exp(2.18 * math.log(shot) + 1.2 + rng.normal(0, 0.26))
    gains = np.array([rng.uniform(1.9, 2.4), 1.0, rng.uniform(1.5, 1.9)])
    mixing = _mixing(rng.uniform(0, 1.4))
    light = _light(clean / 255) @ np.linalg.inv(mixing).T
    raw = _mosaic(np.clip(light / gains, 0, 1))
    noisy = raw + rng.normal(0, 1, raw.shape) * np.sqrt(raw * shot + read)

    def developed(values: Pixels) -> Pixels:
        colors = (_demosaic(values) * gains) @ mixing.T
        return 255 * _display(np.clip(colors, 0, 1))

    added: Pixels = developed(noisy) - developed(raw)
    return added


def scan(
    clean: Pixels, rng: np.random.Generator, cell: float | None = None
) -> tuple[Pixels, float]:
    """A page of a book or a magazine, printed with a halftone of `cell` pixels (a random one, or
    none at 0) and scanned: soft focus, grain of the paper, dust, JPEG."""
    picture = clean.astype(np.float32) / 255
    if cell is None:
        cell = rng.uniform(2.5, 6) if rng.random() < 0.8 else 0
    if cell:
        picture = _halftone(picture, cell, rng)
    picture = _blurred(picture, rng.uniform(0.4, 1.3))
    grain = _blurred(rng.normal(0, 1, (*picture.shape[:2], 1)).astype(np.float32), 0.6)
    picture = picture + grain * rng.uniform(0, 0.06)
    picture = _dust(picture, rng)
    return jpeg(to_levels(255 * picture), rng, int(rng.integers(70, 97)))[0], 0.0


def grey(clean: Pixels) -> Pixels:
    """Without colors, `[H, W, 3]` still."""
    luma = clean @ np.array([[0.299], [0.587], [0.114]])
    return np.repeat(to_levels(luma), 3, axis=2)


def to_levels(values: Pixels) -> Pixels:
    """Levels, rounded and cut to 0..255, as uint8."""
    levels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels


def _light(values: Pixels) -> Pixels:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _display(light: Pixels) -> Pixels:
    curve = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, curve)


def _mixing(strength: float) -> Pixels:
    """A camera's matrix of colors: it keeps grey, and sets the channels apart."""
    return (1 + strength) * np.eye(3) - strength * np.array([[0.3, 0.6, 0.1]] * 3)


def _mosaic(light: Pixels) -> Pixels:
    """`[H, W]` of a sensor with the filter RGGB, from `[H, W, 3]`."""
    raw: Pixels = light[..., 1].copy()
    raw[::2, ::2] = light[::2, ::2, 0]
    raw[1::2, 1::2] = light[1::2, 1::2, 2]
    return raw


def _demosaic(raw: Pixels) -> Pixels:
    """Bilinear: each channel is the weighted mean of its own among the 3x3 pixels around."""
    height, width = raw.shape
    red, blue = np.zeros((2, height, width))
    red[::2, ::2] = 1
    blue[1::2, 1::2] = 1
    masks = (red, 1 - red - blue, blue)
    return np.stack([_spread(raw * mask) / _spread(mask) for mask in masks], -1)


def _spread(values: Pixels) -> Pixels:
    padded = np.pad(values, 1, mode="reflect")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    spread: Pixels = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    return spread


def _halftone(picture: Pixels, cell: float, rng: np.random.Generator) -> Pixels:
    """Dots of ink, the larger, the darker the picture; each ink at an angle of its own."""
    height, width, _ = picture.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    grey = np.ptp(picture, axis=2).max() < 1e-3
    angles = [45.0] * 3 if grey else [15.0, 75.0, 0.0]
    start = rng.uniform(0, cell, 2)
    softness = rng.uniform(0.1, 0.35)
    inked = np.empty_like(picture)
    for channel, angle in enumerate(angles):
        turn = math.radians(angle)
        x = columns * math.cos(turn) + rows * math.sin(turn) + start[0]
        y = rows * math.cos(turn) - columns * math.sin(turn) + start[1]
        wave = (np.cos(2 * math.pi * x / cell) + np.cos(2 * math.pi * y / cell)) / 4 + 0.5
        # The share of a cell below a height of the wave is about that height: tones stay.
        inked[..., channel] = np.clip((picture[..., channel] - wave) / softness + 0.5, 0, 1)
    return inked


def _dust(picture: Pixels, rng: np.random.Generator) -> Pixels:
    height, width, _ = picture.shape
    for _ in range(rng.poisson(height * width / 20_000)):
        y, x = rng.integers(height), rng.integers(width)
        radius = int(rng.integers(1, 3))
        tone = rng.uniform(0, 0.25) if rng.random() < 0.5 else rng.uniform(0.85, 1)
        picture[max(0, y - radius) : y + radius, max(0, x - radius) : x + radius] = tone
    return picture


def _blurred(picture: Pixels, sigma: float) -> Pixels:
    """Blurred along both sides by a Gaussian bell."""
    reach = max(1, math.ceil(3 * sigma))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(picture.ndim)]
        padded = np.pad(picture, pad, mode="reflect")
        size = picture.shape[axis]
        parts = [np.take(padded, np.arange(k, k + size), axis) for k in range(len(bell))]
        picture = np.tensordot(bell, np.stack(parts), 1)
    blurred: Pixels = picture.astype(np.float32)
    return blurred
