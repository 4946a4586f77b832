"""What spoils pictures for restorers: as strong as it says, and no worse than that."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nulie.fit import spoil
from nulie.fit.restorers import JOBS
from nulie.restore import measure

from .conftest import picture


def clean(side: int = 192) -> npt.NDArray[Any]:
    return np.asarray(picture(side, side).resize((4 * side, 4 * side)).crop((0, 0, side, side)))


@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if job.spoil])
def test_shape_and_kind_stay_and_a_seed_says_it_all(name: str) -> None:
    job = JOBS[name]
    assert job.spoil is not None
    before = clean()
    kept = before.copy()
    one, strength = job.spoil(before, np.random.default_rng(3))
    two, again = job.spoil(before, np.random.default_rng(3))
    assert (one.shape, one.dtype) == (before.shape, before.dtype)
    assert (one == two).all()
    assert strength == again
    assert (before == kept).all()
    assert not (job.spoil(before, np.random.default_rng(4))[0] == one).all()


def test_a_jpeg_has_the_quality_that_is_said() -> None:
    for seed in range(12):
        whole = np.asarray(picture(192, 192))
        spoiled, quality = spoil.jpeg(whole, np.random.default_rng(seed))
        if quality < 80:
            assert abs((measure.jpeg_quality(Image.fromarray(spoiled)) or 0) - quality) <= 3


def test_noise_has_the_strength_that_is_said() -> None:
    flat = np.full((128, 128, 3), 128, np.uint8)
    ratios = []
    for seed in range(40):
        spoiled, said = spoil.noise(flat, np.random.default_rng(seed))
        ratios.append(np.std(spoiled.astype(float) - flat) / max(said, 0.5))
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    assert np.std(ratios) < 0.3, "blurred, for nobody knows it exactly"


def test_noise_of_a_camera_has_no_mean_and_grows_with_light_and_gain() -> None:
    rng = np.random.default_rng(0)

    def spread(level: int, shot: float) -> float:
        flat = np.full((128, 128, 3), level, np.uint8)
        added = spoil.camera_noise(flat, shot, rng)
        # What is clipped is on one side only.
        assert abs(added.mean()) < (0.5 if shot < 5e-3 else 5)
        return float(added.std())

    assert 1 < spread(128, 1e-3) < spread(128, 1e-2) < 80
    assert spread(128, 0.0001) < 3


@pytest.mark.parametrize("cell", [3.0, 5.0])
def test_a_halftone_keeps_tones(cell: float) -> None:
    """Seen from afar a printed picture is the picture."""
    levels = np.repeat(np.linspace(40, 215, 8), 48)
    ramp = np.broadcast_to(levels[None, :, None], (240, 384, 3)).astype(np.uint8)
    rng = np.random.default_rng(1)
    printed, _ = spoil.scan(np.ascontiguousarray(ramp), rng, cell=cell)
    columns = printed.astype(float).mean((0, 2)).reshape(8, 48).mean(1)
    assert np.abs(columns - np.linspace(40, 215, 8)).max() < 22
    assert (np.diff(columns) > 0).all()
    assert printed.std() > ramp.std()
