from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks.fold_glance import fold
from nulie.color import lab
from nulie.errors import ModelError, WeightsError
from nulie.predictor import glance, statistics
from nulie.predictor.statistics import (
    OUTPUTS,
    Statistics,
    features,
    forward,
    in_white_light,
    read,
    render,
    write,
)
from tests.conftest import picture


def preview(width: int = 96, height: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.array(picture(width, height, seed))).permute(2, 0, 1).contiguous()


def spoiled(photo: torch.Tensor, count: int) -> torch.Tensor:
    factors = torch.linspace(0.5, 1.5, count).view(-1, 1, 1, 1)
    return (photo * factors).round().clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def embedded() -> Statistics:
    return Statistics()


def test_a_batch_scores_as_its_candidates_do_one_by_one(embedded: Statistics) -> None:
    photo = preview()
    judge = embedded.judge(photo)
    batch = spoiled(photo, 9)
    together = judge(batch).scores
    alone = torch.cat([judge(candidate[None]).scores for candidate in batch])
    assert together.shape == (9,)
    assert together.dtype == torch.float32
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_same_photo_gets_the_same_scores(embedded: Statistics) -> None:
    photo = preview()
    batch = spoiled(photo, 5)
    first = embedded.judge(photo)(batch).scores
    embedded.judge(preview(seed=1))(preview(seed=1)[None])
    assert torch.equal(first, Statistics().judge(photo)(batch).scores)


def test_scores_need_no_gradients_and_leave_the_candidates_alone(embedded: Statistics) -> None:
    photo = preview()
    batch = spoiled(photo, 3)
    before = batch.clone()
    prediction = embedded.judge(photo)(batch)
    assert not prediction.scores.requires_grad
    assert prediction.embeddings is None
    assert torch.equal(batch, before)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 9), (64, 64), (64, 512), (512, 64)])
def test_any_shape_and_any_flat_colour_has_a_score(
    embedded: Statistics, width: int, height: int
) -> None:
    photos = [torch.full((3, height, width), level, dtype=torch.uint8) for level in (0, 128, 255)]
    photos.append(preview(width, height) if min(width, height) > 8 else photos[1])
    for photo in photos:
        low, high = embedded.judge(photo)(torch.stack([photo, 255 - photo])).scores.tolist()
        assert all(np.isfinite([low, high]))
        assert max(low, high) <= 10


def test_grey_photos_are_rendered_grey(embedded: Statistics) -> None:
    grey = preview()[:1].expand(3, -1, -1).contiguous()
    tinted = grey.clone()
    tinted[0] = (tinted[0].int() + 40).clamp(max=255).to(torch.uint8)
    grey_score, tinted_score = embedded.judge(grey)(torch.stack([grey, tinted])).scores.tolist()
    assert grey_score > tinted_score
    wild = torch.randn(4, OUTPUTS)
    drawn = render(wild, torch.rand(4, 1, 50).expand(-1, 3, -1))
    assert torch.allclose(drawn, drawn[:, :1].expand_as(drawn), atol=1e-5)


def test_a_description_of_zeros_leaves_pixels_alone() -> None:
    pixels = torch.rand(2, 3, 100)
    assert torch.allclose(render(torch.zeros(2, OUTPUTS), pixels), pixels, atol=1e-6)


def test_the_curve_never_falls() -> None:
    levels = torch.linspace(0, 1, 256).expand(8, 3, -1)
    drawn = render(torch.randn(8, OUTPUTS), levels)
    assert (drawn.diff(dim=-1) >= 0).all()


def test_features_are_finite_and_of_order_one() -> None:
    seen = features(torch.stack([preview(), *spoiled(preview(), 3)]))
    assert seen.isfinite().all()
    assert seen.abs().max() < 20


def test_features_of_a_batch_are_those_of_its_photos() -> None:
    photos = spoiled(preview(), 4)
    alone = torch.cat([features(photo[None]) for photo in photos])
    assert torch.allclose(features(photos), alone, atol=1e-5)


def test_dull_photographs_are_mostly_worth_less_than_lively_ones(
    embedded: Statistics, data: Path
) -> None:
    gains = []
    for path in sorted((data / "photos-train").glob("*.jpg"))[::10]:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((96, 64), Image.Resampling.BICUBIC)
        photo = torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()
        dull = (photo * 0.4 + 70).to(torch.uint8)
        before, after = embedded.judge(dull)(torch.stack([dull, photo])).scores.tolist()
        gains.append(after - before)
    assert np.mean(gains) > 0.3
    assert np.mean(np.array(gains) > 0) > 0.7


def test_good_photographs_are_not_dulled(embedded: Statistics, data: Path) -> None:
    for path in sorted((data / "photos").glob("*.*g")):
        with Image.open(path) as image:
            small = image.convert("RGB").resize((96, 64), Image.Resampling.BICUBIC)
        photo = torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()[None]
        light = in_white_light(embedded._weights, photo)
        described = forward(embedded._weights, features(light)[None], glance.cells(light))[:, 0]
        pixels = light.flatten(2).float() / 255
        wanted = render(described, pixels.expand(len(described), -1, -1)).clamp(0, 1)
        was, wished = lab(photo.flatten(2))[0], lab((255 * wanted).round().to(torch.uint8)).mean(0)
        chroma = was[1:].norm(dim=0).mean()
        assert chroma < 5 or wished[1:].norm(dim=0).mean() > 0.82 * chroma, path.name
        assert wished[0].std() > 0.86 * was[0].std(), path.name


def test_parameters_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    weights = read(statistics.EMBEDDED)
    write(weights, path)
    again = read(path)
    assert set(again) == set(weights)
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.safetensors"]


def test_the_embedded_files_are_small() -> None:
    assert statistics.EMBEDDED.stat().st_size < 500_000
    assert glance.EMBEDDED.stat().st_size < 500_000


def test_parameters_of_the_format_before_mean_the_same(tmp_path: Path) -> None:
    """They have no part in a glance: what they want depends on the features alone."""
    seed = torch.Generator().manual_seed(3)
    now = read(statistics.EMBEDDED)
    count, hidden = len(now["mean"]), now["w2"].shape[1]
    before = {name: now[name] for name in ("mean", "scale", "b1", "w2", "b2", "w3", "b3")}
    before["w1"] = torch.randn(len(now["w1"]), count, hidden, generator=seed) / 20
    path = tmp_path / "mine.safetensors"
    save_file(before, path, {"format": "nulie-statistics-1"})
    seen = torch.randn(1, 4, count, generator=seed)
    x = ((seen - before["mean"]) / before["scale"]).clamp(-4, 4)
    for layer in "12":
        x = torch.nn.functional.gelu(x @ before[f"w{layer}"] + before[f"b{layer}"])
    expected = x @ before["w3"] + before["b3"]
    cells = torch.randn(4, glance.CHANNELS, 64, generator=seed)
    assert torch.allclose(forward(read(path), seen, cells), expected, atol=1e-4)


def test_parameters_without_a_balance_find_no_cast(tmp_path: Path) -> None:
    now = read(statistics.EMBEDDED)
    path = tmp_path / "mine.safetensors"
    before = {name: value for name, value in now.items() if not name.startswith("balance.")}
    save_file(before, path, {"format": "nulie-statistics-2"})
    photo = preview()[None]
    assert torch.equal(in_white_light(read(path), photo), photo)
    save_file(before, path, {"format": statistics.FORMAT})
    with pytest.raises(WeightsError, match="fit it again"):
        read(path)


def test_a_glance_is_what_torchvisions_network_sees() -> None:
    """With random weights, for torchvision's own cannot be had here."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v2(weights=None)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var = torch.rand_like(module.running_mean) + 0.5
    x = torch.randn(3, 3, 64, 96)
    with torch.no_grad():
        seen = glance.forward(fold(network.state_dict()), x)
        assert torch.allclose(seen, network.features[:11].eval()(x), atol=1e-4)
    shapes = {name: tensor.shape for name, tensor in fold(network.state_dict()).items()}
    embedded = load_file(glance.EMBEDDED)
    assert {name: tensor.shape for name, tensor in embedded.items()} == shapes


def test_a_glance_is_a_grid_of_cells_whatever_the_shape() -> None:
    for width, height in ((96, 64), (64, 300), (1, 1), (700, 500)):
        photos = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
        cells = glance.cells(photos)
        assert cells.shape == (2, glance.CHANNELS, glance.GRID**2)
        assert torch.allclose(glance.cells(photos[1:]), cells[1:], atol=1e-3)
        if width % glance.GRID == height % glance.GRID == 0:
            mean = lab(photos).flatten(2).mean(2) / 50
            assert torch.allclose(cells[:, -3:].mean(2), mean, atol=1e-4)


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    good = read(statistics.EMBEDDED)
    path = tmp_path / "bad.safetensors"

    def refused() -> str:
        with pytest.raises(WeightsError) as caught:
            Statistics(path)
        message = str(caught.value)
        assert str(path) in message
        assert "\n" not in message
        return message

    refused()  # not there
    path.write_bytes(b"no parameters at all")
    refused()
    path.write_bytes(b"")
    refused()
    shutil.copy(statistics.EMBEDDED, path)
    path.write_bytes(path.read_bytes()[:-1000])
    refused()
    save_file(good, path, {"format": "something else"})
    assert "fit it again" in refused()
    save_file(good, path)
    refused()
    mark = {"format": statistics.FORMAT}
    save_file({name: value for name, value in good.items() if name != "w2"}, path, mark)
    refused()
    save_file(good | {"mean": good["mean"][:-1].clone()}, path, mark)
    refused()
    save_file(good | {"b1": good["b1"] * float("nan")}, path, mark)
    refused()
    save_file(good | {"w1": good["w1"].flatten().clone()}, path, mark)
    refused()


def test_an_unknown_device_is_a_clear_error() -> None:
    with pytest.raises(ModelError):
        Statistics(device="abacus")


@pytest.mark.gpu
def test_gpu_and_cpu_agree(embedded: Statistics) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    photo = preview()
    batch = spoiled(photo, 16)
    on_gpu = Statistics(device="cuda").judge(photo.cuda())(batch.cuda()).scores
    assert on_gpu.is_cuda
    assert torch.allclose(on_gpu.cpu(), embedded.judge(photo)(batch).scores, atol=0.01)
