"""Tiles: the whole picture's result, bit for bit, or faded where nothing bounds what counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nulie.recipe import Dial
from nulie.restore import net, tiles
from nulie.restore.net import Net


class Small:
    """A network of random weights, with all that `Own` declares."""

    name, digest, channels, tile = "small", "ab" * 32, 3, 96
    dials: tuple[Dial, ...] = ()

    def __init__(self, scale: int, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(1)
        self.net = Net(scale, 16, 3, guided=scale == 1)
        for parameter in self.net.parameters():
            parameter.data *= 2  # so that a pixel far away counts
        self.net.to(dtype)
        self.net.to(memory_format=torch.channels_last)
        self.scale, self.multiple = scale, self.net.fold
        self.halo: int | None = self.net.halo

    @torch.inference_mode()
    def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        made: torch.Tensor = self.net(image, torch.tensor([float(params.get("sigma", 0))]))
        return made


def pixels(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("features", [48, 64])
def test_what_makes_it_faster_changes_no_bit(features: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, features, 20, 30, generator=generator).to(dtype)
    prelu = net._PReLU(features).to(dtype)
    prelu.weight.data = (torch.rand(features, generator=generator) * 1.6 - 0.3).to(dtype)
    meant = torch.nn.functional.prelu(image, prelu.weight)
    with torch.inference_mode():
        assert torch.equal(prelu(image.clone()), meant)


SIDES = st.integers(1, 260)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1, 2, 4])
@settings(max_examples=12, deadline=None)
@given(height=SIDES, width=SIDES)
@example(height=251, width=97)
def test_tiles_are_the_whole_bit_for_bit(
    height: int, width: int, scale: int, dtype: torch.dtype
) -> None:
    restorer, image = Small(scale, dtype), pixels(height, width)
    whole, _ = tiles.run(restorer, image, {"sigma": 20.0}, side=512)
    tiled, side = tiles.run(restorer, image, {"sigma": 20.0}, side=96)
    assert side == 96
    assert whole.shape == (3, scale * height, scale * width)
    assert torch.equal(tiled, whole)


def test_a_halo_that_is_too_small_shows() -> None:
    """Or the test above could not fail."""
    restorer, image = Small(2), pixels(200, 200)
    whole, _ = tiles.run(restorer, image, {}, side=512)
    assert restorer.halo is not None
    restorer.halo -= 1
    assert not torch.equal(tiles.run(restorer, image, {}, side=96)[0], whole)


def test_what_depends_on_everything_is_faded() -> None:
    """Tiles that differ by 100 levels join without a step."""

    calls: list[int] = []

    class Shifting(Small):
        def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
            calls.append(1)
            return torch.full_like(image, 0.2 + 0.4 * (len(calls) % 2)).repeat(1, 1, 2, 2)

    restorer = Shifting(2)
    restorer.halo = None
    made, _ = tiles.run(restorer, pixels(64, 230), {}, side=96)
    assert made.shape == (3, 128, 460)
    steps = made.float().diff(dim=2).abs()
    assert made.float().std() > 30
    assert 0 < steps.max() < 8


def test_a_uniform_picture_stays_uniform_under_the_fade() -> None:
    class Same(Small):
        def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
            return image.repeat_interleave(2, 2).repeat_interleave(2, 3)

    restorer, image = Same(2), pixels(223, 301)
    restorer.halo = None
    made, _ = tiles.run(restorer, image, {}, side=96)
    assert torch.equal(made, image.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_tiles_are_halved_where_memory_is_short() -> None:
    class Short(Small):
        def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
            if image.shape[-1] > 140:  # 155 each with two tiles a side, 107 with three
                raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
            return super().restore(image, params)

    image = pixels(300, 300)
    whole, _ = tiles.run(Small(2), image, {}, side=512)
    made, side = tiles.run(Short(2), image, {}, side=512)
    assert side == 128
    assert torch.equal(made, whole)


def test_no_memory_at_all_is_an_error() -> None:
    class Never(Small):
        def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        tiles.run(Never(2), pixels(300, 300), {}, side=512)


def test_progress_rises_to_one_and_can_end_the_work() -> None:
    shares: list[float] = []
    tiles.run(Small(2), pixels(200, 200), {}, side=96, tell=shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert len(shares) == 10

    def stop(share: float) -> None:
        if share > 0.3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        tiles.run(Small(2), pixels(200, 200), {}, side=96, tell=stop)
