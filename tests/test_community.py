"""Files of other people: in architectures that spandrel knows, with random weights."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from spandrel import ModelLoader

from nulie import restore
from nulie.errors import ExtraError, WeightsError
from nulie.image_io import Photo
from nulie.jobs.restoration import Restorers
from nulie.models import store
from nulie.restore import catalog, pictures, tiles
from nulie.restore.community import Community
from nulie.restore.net import Net

from .conftest import picture


def network(name: str, module: str, kind: str, **options: Any) -> Callable[[], torch.nn.Module]:
    """One of spandrel's own networks, which it keeps for itself."""
    file = f"spandrel.architectures.{name}.__arch.{module}"
    return lambda: getattr(import_module(file), kind)(**options)


MODELS = {
    "ESRGAN": network("ESRGAN", "RRDB", "RRDBNet", num_filters=8, num_blocks=1, scale=4),
    "Compact": network("Compact", "SRVGG", "SRVGGNetCompact", num_feat=8, num_conv=2, upscale=2),
    "SPAN": network("SPAN", "span", "SPAN", num_in_ch=3, num_out_ch=3, feature_channels=8,
        upscale=2),
    "SwinIR": network("SwinIR", "SwinIR", "SwinIR", img_size=16, depths=[2], embed_dim=12,
        num_heads=[2], window_size=8, upscale=2, upsampler="pixelshuffledirect"),
    "SCUNet": network("SCUNet", "SCUNet", "SCUNet", in_nc=3, config=[1] * 7, dim=64),
    "FBCNN": network("FBCNN", "FBCNN", "FBCNN", nc=[8, 8, 8, 512], nb=2),
    "NAFNet": network("NAFNet", "NAFNet_arch", "NAFNet", width=8, enc_blk_nums=[1, 1],
        dec_blk_nums=[1, 1]),
}  # fmt: skip


@pytest.fixture(params=MODELS)
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / f"my {request.param}.pth"
    torch.save({"params": MODELS[request.param]().state_dict()}, path)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_runs(weights: Path) -> None:
    restorer = restore.create(str(weights), "cpu")
    photo = Photo(picture(61, 47))
    made = pictures.restore(photo, restorer, {})
    scale = {"ESRGAN": 4, "Compact": 2, "SPAN": 2, "SwinIR": 2}.get(weights.stem[3:], 1)
    assert restorer.scale == scale
    assert made.size == (61 * scale, 47 * scale)
    assert restore.model_id(restorer).startswith(f"my_{weights.stem[3:]}@")
    # What is applied at no strength is not applied.
    if scale == 1:
        same = pictures.restore(photo, restorer, {"strength": 0.0})
        assert same.pixels.tobytes() == photo.pixels.tobytes()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_tiles_of_others_are_near_the_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "x.pth"
    torch.save(MODELS["Compact"]().state_dict(), path)
    restorer = Community("x", path, "cpu", "fp32")
    assert restorer.halo is None
    pixels = torch.randint(0, 256, (3, 150, 170), dtype=torch.uint8)
    whole, _ = tiles.run(restorer, pixels, {}, side=512)
    tiled, _ = tiles.run(restorer, pixels, {}, side=96)
    assert (whole.int() - tiled.int()).abs().max() <= 1


def test_its_colors_are_those_of_the_photo(tmp_path: Path) -> None:
    """A model may shift them: the mean of each channel is kept."""
    torch.manual_seed(0)
    net = MODELS["Compact"]()
    with torch.no_grad():
        list(net.parameters())[-1].add_(0.05)
    path = tmp_path / "shifts.pth"
    torch.save(net.state_dict(), path)
    photo = Photo(picture(96, 64))
    made = pictures.restore(photo, restore.create(str(path), "cpu"), {})

    def means(image: Image.Image) -> torch.Tensor:
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return pixels.view(-1, 3).float().mean(0)

    assert (means(made.pixels) - means(photo.pixels)).abs().max() < 0.1


def test_nor_does_it_tint_places(tmp_path: Path) -> None:
    """Its kind is unknown: a model may make the sky bluer and the ground redder."""
    torch.manual_seed(0)
    path = tmp_path / "x.pth"
    torch.save(MODELS["Compact"]().state_dict(), path)
    restorer = Community("x", path, "cpu", "fp32")

    def tint(image: torch.Tensor, params: object) -> torch.Tensor:
        rows = torch.linspace(-1, 1, 2 * image.shape[2])[:, None]
        tint = torch.tensor([-8.0, 0, 8])[:, None, None] / 255
        larger = torch.nn.functional.interpolate(image, scale_factor=2, mode="nearest")
        return (larger + tint * rows).clamp(0, 1)

    photo = Photo(picture(256, 320).point(lambda level: 40 + level // 2))
    tinted = (2 * photo.size[0], 2 * photo.size[1])
    meant = np.asarray(photo.pixels.resize(tinted, Image.Resampling.NEAREST)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restorer, "restore", tint)
        patch.setattr(restorer, "tile", 1024)
        made = np.asarray(pictures.restore(photo, restorer, {}).pixels).astype(float)
    rows = np.abs((made - meant).mean(1))
    assert rows[128:-128].max() < 1
    assert rows.max() < 3  # at the borders nothing tells how it goes on
    assert np.abs(made - meant)[128:-128].max() <= 2  # and details stay


@pytest.mark.parametrize("scale", [2, 4])
def test_ours_is_a_compact_for_others(scale: int, tmp_path: Path) -> None:
    """Other programs open nulie's files through spandrel, to the same result."""
    torch.manual_seed(0)
    net = Net(scale, 16, 4)
    path = tmp_path / "x.safetensors"
    save_file(net.state_dict(), path)
    model: Any = ModelLoader("cpu").load_from_file(path)
    assert model.architecture.id == "Compact"
    assert model.scale == scale
    image = torch.rand(1, 3, 20, 30)
    with torch.inference_mode():
        assert torch.allclose(model.model(image), net(image), atol=1e-5)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("evil"),)


def junk(kind: str, path: Path) -> None:
    if kind == "evil":
        torch.save({"params": Evil()}, path)
    elif kind == "old evil":
        path.write_bytes(pickle.dumps({"params": Evil()}))
    elif kind == "noise":
        path.write_bytes(bytes(range(256)) * 40)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "unknown":
        torch.save({"layer.weight": torch.zeros(3, 3)}, path)
    elif kind == "cut":
        torch.save({"params": MODELS["Compact"]().state_dict()}, path)
        path.write_bytes(path.read_bytes()[:-3000])
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a.txt", "hello")


@pytest.mark.parametrize("kind", ["evil", "old evil", "noise", "empty", "unknown", "cut", "zip"])
def test_junk_is_refused_in_a_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pth"
    junk(kind, path)
    with pytest.raises(WeightsError, match=r"model\.pth") as caught:
        restore.create(str(path), "cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil").exists()


def test_a_name_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NULIE_HOME", str(tmp_path))
    monkeypatch.setenv("NULIE_RESTORERS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="give a file of your own with --model FILE"):
        restore.create("realesr-general-x4v3", "cpu")


def test_a_file_of_another_digest_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NULIE_HOME", str(tmp_path))
    weights = catalog.PUBLISHED["realesr-general-x4v3"]
    place = tmp_path / "restorers" / "realesr-general-x4v3.pth"
    place.parent.mkdir()
    torch.save(MODELS["Compact"]().state_dict(), place)
    assert store.find(weights) is None


def test_names_and_digests_are_well_formed() -> None:
    for name, weights in catalog.PUBLISHED.items():
        assert weights.name == name
        assert len(weights.sha256) == 64
        assert weights.license in ("BSD-3-Clause", "Apache-2.0")


def test_without_spandrel_nothing_is_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NULIE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(ExtraError, match=r"needs spandrel; install that, .* \[restore\]"):
        Restorers("cpu").get("realesr-general-x4v3")
    assert not list(tmp_path.iterdir())
