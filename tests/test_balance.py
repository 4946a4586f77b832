from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nulie.color import distance, lab
from nulie.fit.parts import levels
from nulie.fit.ways import tinged
from nulie.predictor import balance, glance, statistics
from nulie.predictor.statistics import in_white_light
from tests.conftest import photographs, picture


def preview(image: Image.Image) -> torch.Tensor:
    """`[1, 3, 64, 96]`."""
    small = image.convert("RGB").resize((96, 64), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()[None]


@pytest.fixture(scope="module")
def embedded() -> dict[str, torch.Tensor]:
    return statistics.read(statistics.EMBEDDED)


def test_nearly_a_third_of_a_cast_is_found(embedded: dict[str, torch.Tensor]) -> None:
    """Of photographs that no fit has seen."""
    was, left = [], []
    for parameter in photographs():
        if (path := parameter.values[0]) is None:
            pytest.skip("no test data")
        with Image.open(path) as image:
            photo = preview(image)
        for stops in ([0.45, -0.3], [-0.3, 0.45]):
            cast = levels(tinged(photo.float(), torch.tensor([stops]))).to(torch.uint8)
            truth = lab(photo)
            was.append(distance(lab(cast), truth).item())
            left.append(distance(lab(in_white_light(embedded, cast)), truth).item())
    assert np.mean(left) < 0.7 * np.mean(was)


def test_what_knows_nothing_finds_nothing() -> None:
    nothing = {name: torch.zeros(shape) for name, shape in balance.SHAPES.items()}
    photo = preview(picture())
    assert torch.equal(in_white_light(nothing, photo), photo)


def test_grey_stays_grey(embedded: dict[str, torch.Tensor]) -> None:
    for photo in (preview(picture())[:, :1].expand(-1, 3, -1, -1), torch.zeros(1, 3, 4, 4)):
        photo = photo.to(torch.uint8)
        assert torch.equal(in_white_light(embedded, photo), photo)


def test_photos_are_judged_each_by_itself(embedded: dict[str, torch.Tensor]) -> None:
    photos = torch.cat([preview(picture(seed=seed)) for seed in range(3)])
    together = balance.guess(embedded, photos, glance.cells(photos))
    alone = [balance.guess(embedded, one[None], glance.cells(one[None])) for one in photos]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)
    assert together.abs().max() <= balance.MOST


def test_all_pixels_are_counted_once() -> None:
    pixels = balance.counted(preview(picture()))
    by_cell, others = balance._histograms(pixels)
    clipped = others[0, 2].sum().item()
    assert by_cell.sum().item() + clipped == pytest.approx(2, abs=1e-4)
    assert others[0, :2].sum(1).tolist() == pytest.approx([0.4, 0.4], abs=0.05)


def test_a_cast_moves_a_histogram_as_a_whole() -> None:
    """By two bins one way and three the other."""
    photo = torch.randint(80, 140, (1, 3, balance.SIDE, balance.SIDE), dtype=torch.uint8)
    stops = torch.tensor([[2.0, 3.0]]) * balance.STOPS_PER_BIN
    moved = levels(tinged(photo.float(), stops)).to(torch.uint8)
    first, second = (
        balance._histograms(x)[0].sum(1).view(balance.BINS, balance.BINS) for x in (photo, moved)
    )
    there = first.roll((2, 3), (0, 1))
    assert (there - second).abs().sum() < 0.2 * (first - second).abs().sum()
