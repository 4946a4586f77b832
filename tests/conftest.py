"""What the tests share: where the data lies, small pictures."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nulie.predictor.base import Judge, Prediction

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("NULIE_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def data() -> Path:
    """The folder with photographs and heads; the test is skipped where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"no test data at {DATA}; set NULIE_TEST_DATA")
    return DATA


def photographs() -> list[Any]:
    """The 26 photographs as parameters; a single one that is skipped where they are absent."""
    kinds = {".jpg", ".png", ".webp"}
    found = sorted(p for p in (DATA / "photos").glob("*") if p.suffix in kinds)
    if not found:
        reason = f"no test data at {DATA}; set NULIE_TEST_DATA"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, id=path.stem) for path in found]


@functools.cache
def imagemagick() -> str | None:
    """ImageMagick's command; of `convert` there are others, such as Windows'."""
    for name in filter(which, ("magick", "convert")):
        told = subprocess.run([name, "-version"], capture_output=True).stdout
        if told.startswith(b"Version: ImageMagick"):
            return name
    return None


def picture(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """An RGB picture with smooth parts, edges, noise and all levels; the same for a seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    phases = rng.uniform(0, 6, (3, 2))
    planes = [np.sin(a + 5 * x) * np.cos(b + 4 * y) for a, b in phases]
    pixels = 128 + 90 * np.stack(planes, -1) + rng.normal(0, 12, (height, width, 3))
    pixels[: height // 4, : width // 4] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


class FakePredictor:
    """Likes pictures whose mean level is near `target`; needs no weights and takes no time."""

    name = "fake"
    input_size = 32
    device = torch.device("cpu")
    batch_size = 32

    def __init__(self, target: float = 150.0) -> None:
        self.target = target
        self.judged = 0

    def judge(self, photo: torch.Tensor) -> Judge:
        def judge(batch: torch.Tensor) -> Prediction:
            self.judged += len(batch)
            mean = batch.float().flatten(1).mean(1)
            return Prediction(10 - (mean - self.target).abs() / 10)

        return judge
