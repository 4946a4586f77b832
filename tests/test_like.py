"""Targets out of pictures: colors like a reference's, and this very picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nulie.engine import Enhancement, Finished
from nulie.errors import ModelError
from nulie.predictor.like import BLEND, LEAST, MOST, NOISE, Given, Like, _moments, _transport
from nulie.predictor.target import Target
from nulie.recipe import Recipe, Step
from nulie.recipe.settings import Settings
from nulie.transforms import render
from nulie.transforms.preview import shrink

from .conftest import picture


def preview(width: int = 96, height: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.array(picture(width, height, seed))).permute(2, 0, 1).contiguous()


def noise(seed: int, size: tuple[int, int], low: int = 0, high: int = 256) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (3, *size), generator=made, dtype=torch.uint8)


KINDS: list[Callable[[torch.Tensor], Target]] = [Like, Given]


# Both.


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_itself_wants_no_change(kind: Callable[[torch.Tensor], Target]) -> None:
    photo = preview()
    target = kind(photo)
    assert torch.equal(target.renderings(photo)[0], photo)
    scores = target.judge(photo)(torch.stack([photo, 255 - photo])).scores
    assert scores[0] == pytest.approx(10, abs=1e-5)
    assert scores[1] < 5


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    other=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    low=st.integers(0, 255),
)
def test_any_two_pictures_have_scores_alone_as_in_a_batch(
    kind: Callable[[torch.Tensor], Target],
    seed: int,
    size: tuple[int, int],
    other: tuple[int, int],
    low: int,
) -> None:
    photo, shown = noise(seed, size, low, low + 1 + seed % (256 - low)), noise(seed + 1, other)
    for reference in (shown, shown[:1].expand(3, -1, -1), torch.full_like(shown, low)):
        target = kind(reference)
        [drawn] = target.renderings(photo)
        assert drawn.shape == photo.shape
        batch = torch.stack([photo, drawn, 255 - photo])
        together = target.judge(photo)(batch).scores
        alone = torch.cat([kind(reference).judge(photo)(one[None]).scores for one in batch])
        assert torch.allclose(together, alone, atol=1e-5)
        # Not all pixels are computed by the same instructions: cube roots near 1 may be two
        # roundings of 6e-8 apart; a* is 500 times the difference of two, a point is 5 units.
        assert together[1] == pytest.approx(10, abs=3e-5)
        assert together.max() <= 10


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_device_is_a_clear_error(kind: Callable[..., Target]) -> None:
    with pytest.raises(ModelError):
        kind(preview(), device="abacus")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_gpu_and_cpu_agree(kind: Callable[..., Target]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    photo, shown = preview(), preview(80, 90, seed=1)
    batch = torch.stack([photo, shown.new_zeros(photo.shape)])
    on_gpu = kind(shown, device="cuda").judge(photo)(batch.cuda()).scores
    assert on_gpu.is_cuda
    assert torch.allclose(on_gpu.cpu(), kind(shown).judge(photo)(batch).scores, atol=0.01)


# Like.


def test_the_map_gives_the_covariance_asked_for() -> None:
    _, before = _moments(preview(seed=1))
    _, after = _moments(preview(seed=2) // 2 + 60)
    gain = _transport(before, after)
    assert torch.allclose(gain, gain.T)
    gains = torch.linalg.eigvalsh(gain)
    assert LEAST < gains.min() < gains.max() < MOST, "no bound is met, so it must be exact"
    assert torch.allclose(gain @ before @ gain, after, rtol=1e-9)


def test_gains_are_bounded() -> None:
    flat = NOISE**2 * torch.eye(3, dtype=torch.float64)
    _, lively = _moments(preview())
    for before, after in ((flat, lively), (lively, flat)):
        gains = torch.linalg.eigvalsh(_transport(before, after))
        assert gains.min() >= LEAST - 1e-9
        assert gains.max() <= MOST + 1e-9
    assert torch.allclose(_transport(flat, flat), torch.eye(3, dtype=torch.float64))


def test_colors_come_nearer_to_the_references_but_keep_some_of_their_own() -> None:
    photo, shown = preview(seed=1), (preview(40, 50, seed=2) // 2 + 60)
    [drawn] = Like(shown).renderings(photo)
    was, is_now, aim = (p.float().flatten(1) for p in (photo, drawn, shown))
    for measure in (lambda x: x.mean(1), lambda x: x.std(1)):
        moved, asked = measure(is_now) - measure(was), measure(aim) - measure(was)
        large = asked.abs() > 4
        share = (moved / asked)[large]
        assert large.any()
        assert (share - BLEND).abs().max() < 0.2


def test_a_flat_photo_stays_flat_and_a_grey_reference_leaves_no_color() -> None:
    [drawn] = Like(preview()).renderings(torch.full((3, 20, 30), 90, dtype=torch.uint8))
    assert (drawn == drawn[:, :1, :1]).all()
    [drawn] = Like(preview()[:1].expand(3, -1, -1)).renderings(preview(seed=3))
    assert torch.equal(drawn, drawn[:1].expand_as(drawn))


def test_a_search_finds_the_references_light() -> None:
    dim = render(Recipe((Step("brightness", (("factor", 0.6),)),)), picture())
    like = Like(shrink(picture(), 64))
    events = list(Enhancement(dim, like, Settings(seconds=None, evaluations=60)).events())
    assert isinstance(events[-1], Finished)
    result = events[-1].result
    assert np.array(result.image).mean() > np.array(dim).mean() + 15


# Given.


def test_a_search_comes_near_to_an_edit_made_elsewhere() -> None:
    dim = render(Recipe((Step("brightness", (("factor", 0.6),)),)), picture())
    target = Given(shrink(picture(), 64))
    free = Settings(seconds=None, evaluations=200, min_color=0.0, min_contrast=0.0)
    events = list(Enhancement(dim, target, free).events())
    assert isinstance(events[-1], Finished)
    result = events[-1].result
    assert 10 - result.terms.score < 0.2 * (10 - result.base.score)


def test_a_picture_of_another_size_is_brought_to_the_photos() -> None:
    small = shrink(picture(480, 320), 64)
    [drawn] = Given(shrink(picture(480, 320), 320)).renderings(small)
    assert (drawn.int() - small.int()).abs().max() <= 1, "as Pillow makes the preview itself"
    plain = torch.full((3, 9, 31), 77, dtype=torch.uint8)
    assert torch.equal(Given(plain).renderings(small)[0], torch.full_like(small, 77))
