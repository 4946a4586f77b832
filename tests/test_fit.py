from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nulie.color import to_linear
from nulie.errors import ModelError
from nulie.fit import balance as casts
from nulie.fit import statistics as fitting
from nulie.fit import ways
from nulie.fit.parts import taken
from nulie.fit.statistics import fit, make_examples
from nulie.fit.ways import spoil, tinged
from nulie.predictor import balance, glance, statistics
from nulie.predictor.statistics import Statistics
from tests.conftest import picture

SHAPES = [(96, 64), (64, 96), (80, 80), (300, 200)]


def photos(count: int = 8) -> list[Image.Image]:
    return [picture(*SHAPES[n % len(SHAPES)], seed=n) for n in range(count)]


def small_fit(**changes: Any) -> dict[str, torch.Tensor]:
    options: dict[str, Any] = {"examples": 128, "steps": 12, "members": 2} | changes
    return dict(fit(photos(), **options))


def test_a_fitted_file_is_a_predictor(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    statistics.write(small_fit(), path)
    photo = torch.randint(0, 256, (3, 64, 80), dtype=torch.uint8)
    assert Statistics(path).judge(photo)(photo[None]).scores.isfinite().all()


def test_the_same_seed_fits_the_same_parameters() -> None:
    torch.manual_seed(1)
    first = small_fit(seed=3)
    state = torch.random.get_rng_state()
    second = small_fit(seed=3)
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator was moved"
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = small_fit(seed=4)
    assert not torch.equal(first["w1"], other["w1"])


def test_fitting_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    examples = make_examples([taken(photo) for photo in photos()], 256, generator)

    def loss(weights: dict[str, torch.Tensor]) -> float:
        rows = torch.arange(len(examples.seen))[None]
        return fitting._loss(
            statistics.forward(weights, examples.seen[rows], examples.cells.float()),
            examples,
            rows,
        ).item()

    untouched = fitting._initial(examples.seen, 1, generator)
    fitted = fitting.train(examples, generator, steps=60, members=1)
    assert loss(fitted) < 0.8 * loss(untouched)


def test_casts_are_learned() -> None:
    """Of eight pictures of the same colours, which leave no doubt."""
    generator = torch.Generator().manual_seed(0)
    known = [taken(photo) for photo in photos()]
    examples = casts.make_examples(known, 256, generator, lambda what, share: None)
    weights = casts.train(examples, generator, steps=60, progress=lambda what, share: None)
    found, _ = balance.mean(balance.log_likelihood(weights, examples.seen, examples.cells.float()))
    off, was = ((stops - examples.stops).norm(dim=1).mean() for stops in (found, 0 * found))
    assert off < 0.6 * was


def test_a_cast_is_what_balance_takes_out() -> None:
    images = torch.randint(40, 200, (3, 3, 8, 8)).float()
    stops = torch.tensor([[0.5, -0.4], [0.0, 0.0], [-0.3, 0.2]])
    there = tinged(images, stops)
    assert (there[0] - images[0]).abs().mean() > 5
    back = balance.balanced(there.flatten(2) / 255, stops)
    # All channels alike, by what the other light took of the green or gave it.
    ratio = to_linear(back) / to_linear(images.flatten(2) / 255)
    assert (ratio / ratio.mean((1, 2), keepdim=True) - 1).abs().max() < 1e-3


def test_dulling_a_good_photograph_costs_more_than_enlivening_it() -> None:
    pixels = torch.randint(60, 196, (1, 3, 128), dtype=torch.uint8)
    examples = fitting.Examples(
        torch.zeros(1, 1), torch.zeros(1, 1, 1), pixels, pixels, torch.zeros(1)
    )

    def loss(saturation: float, contrast: float) -> float:
        described = torch.zeros(1, 1, statistics.OUTPUTS)
        described[..., 0] = saturation
        described[..., 2] = -contrast  # what 0.5 of it takes off black, steeper slopes add
        described[..., 3 : 3 + statistics.KNOTS] = math.log(1 + contrast)
        return fitting._loss(described, examples, torch.zeros(1, 1, dtype=torch.long)).item()

    assert loss(-0.1, 0) > 1.5 * loss(0.1, 0)
    assert loss(0, -0.1) > 1.5 * loss(0, 0.1)


def test_examples_are_of_one_shape_and_as_many_as_asked() -> None:
    known = [taken(photo) for photo in photos()]
    examples = make_examples(known, 130, torch.Generator().manual_seed(0))
    count = len(examples.photo)
    assert count >= 130
    assert examples.spoiled.shape == examples.truth.shape == (count, 3, fitting.PIXELS)
    assert examples.spoiled.dtype == examples.truth.dtype == torch.uint8
    assert examples.seen.isfinite().all()
    assert examples.cells.shape == (count, glance.CHANNELS, glance.GRID**2)
    assert set(examples.photo.tolist()) <= set(range(8))


def test_some_are_spoiled_and_some_are_left_alone() -> None:
    image = torch.randint(0, 256, (1, 3, 16, 16)).float()
    images = image.repeat(400, 1, 1, 1)
    results = spoil(images, torch.Generator().manual_seed(0))
    assert torch.equal(images, image.expand_as(images)), "the input was changed"
    same = (results == image).flatten(1).all(1).float().mean().item()
    assert 0.05 < same < 0.35
    assert torch.equal(results, results.round())
    assert results.min() >= 0
    assert results.max() <= 255


@pytest.mark.parametrize("way", [way for *_, way in ways._WAYS])
def test_a_dial_at_zero_spoils_nothing(way: object) -> None:
    image = torch.randint(0, 256, (2, 3, 16, 16)).float()
    zero, generator = torch.zeros(2, 1, 1, 1), torch.Generator().manual_seed(0)
    assert torch.allclose(way(image, zero, generator), image, atol=1e-3)  # type: ignore[operator]


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    small_fit(progress=lambda what, share: told.append((what, share)))
    assert len({what for what, _ in told}) == 4
    assert all(0 <= share <= 1 for _, share in told)


def test_too_few_photographs_are_refused() -> None:
    with pytest.raises(ModelError, match="3 photographs"):
        fit(photos(3))


def test_photographs_are_read_one_at_a_time() -> None:
    alive = 0

    def one_by_one() -> object:
        nonlocal alive
        for photo in photos():
            alive += 1
            yield photo
            alive -= 1
            assert alive == 0

    fit(one_by_one(), examples=64, steps=2, members=1)  # type: ignore[arg-type]
