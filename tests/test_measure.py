"""What a photo needs: measured on photographs that were spoiled by a known amount."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image

from nulie.restore import measure

from .conftest import photographs


def spoiled(image: Image.Image, quality: int, sampling: int = 2) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=sampling)
    return Image.open(stream).convert("RGB")


@lru_cache(None)
def clean(path) -> Image.Image:
    """The middle of a photograph at half its size, so that traces of its own JPEG are gone."""
    image = Image.open(path).convert("RGB")
    side = min(*image.size, 768) // 8 * 8
    left, top = (image.width - side) // 2, (image.height - side) // 2
    part = image.crop((left, top, left + side, top + side))
    return part.resize((side // 2, side // 2), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("path", photographs())
def test_a_photograph_is_told_from_a_jpeg(path) -> None:
    image = clean(path)
    assert measure.jpeg_quality(image) is None
    assert measure.noise(image) < 4
    for quality in (8, 20, 40, 60, 70):
        for sampling in (0, 2):
            found = measure.jpeg_quality(spoiled(image, quality, sampling))
            assert found == pytest.approx(quality, abs=3)
    part = spoiled(image, 50).crop((5, 3, *image.size))
    assert measure.jpeg_quality(part) == pytest.approx(50, abs=3)
    # Of a weak compression, whatever is found is weak.
    assert (measure.jpeg_quality(spoiled(image, 95)) or 100) > 85


@pytest.mark.parametrize("path", photographs())
@pytest.mark.parametrize("sigma", [5, 10, 25])
def test_noise_is_measured(path, sigma: float) -> None:
    values = np.asarray(clean(path), float)
    noise = np.random.default_rng(0).normal(0, sigma, values.shape)
    noisy = Image.fromarray(np.clip(values + noise, 0, 255).round().astype(np.uint8))
    assert measure.noise(noisy) == pytest.approx(sigma, rel=0.2)
    assert measure.jpeg_quality(noisy) is None


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 64), (16, 16)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_little_and_plain_pictures_need_nothing(size: tuple[int, int], level: int) -> None:
    image = Image.new("RGB", size, (level, level, level))
    assert measure.jpeg_quality(image) is None
    assert measure.noise(image) == 0


def test_drawings_need_nothing() -> None:
    """Flat colors and lines, as screens have them, hold every rhythm and none."""
    values = np.full((256, 256, 3), 255, np.uint8)
    values[::16] = 0
    values[:, ::24] = (200, 30, 40)
    values[64:128, 64:128] = (20, 90, 200)
    assert measure.jpeg_quality(Image.fromarray(values)) is None
