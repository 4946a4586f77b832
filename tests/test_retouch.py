"""The predictor `retouch`: its network against plain numpy, its files, the contract."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch.nn import functional

from nulie.errors import ModelError, WeightsError
from nulie.models import store
from nulie.predictor import create
from nulie.predictor.published import RETOUCH, WEIGHTS
from nulie.predictor.retouch import BLEND, Retouch, look_up, mix, read, shares
from nulie.predictor.statistics import Statistics
from nulie.transforms.preview import shrink

from .conftest import picture
from .publisher import Publisher

Array = npt.NDArray[Any]
FILES = ("LUTs.pth", "classifier.pth")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Homes of the test's own, and a publisher that refuses connections."""
    for name in ("NULIE_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for name in ("NULIE_HEADS_ENDPOINT", "HF_ENDPOINT"):
        monkeypatch.setenv(name, url)


@pytest.fixture
def real(data: Path) -> Path:
    """The folder of the published files."""
    folder = data / "models" / "image-adaptive-3dlut"
    if not all((folder / name).is_file() for name in FILES):
        pytest.skip(f"no weights of retouch at {folder}")
    return folder


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of the published form, out of random numbers, which count as genuine."""
    folder = tmp_path / "made"
    folder.mkdir()
    random = torch.Generator().manual_seed(5)
    levels = torch.linspace(0, 1, 33)
    b, g, r = torch.meshgrid(levels, levels, levels, indexing="ij")
    same = torch.stack([r, g, b])
    tables = {
        str(i): {"LUT": same * (i == 0) + 0.1 * torch.randn(same.shape, generator=random)}
        for i in range(3)
    }
    net = {}
    widths = (3, 16, 32, 64, 128, 128)
    for at, (before, after) in enumerate(pairwise(widths)):
        scale = (9 * before) ** -0.5
        net[f"model.{3 * at + 1}.weight"] = scale * torch.randn(
            after, before, 3, 3, generator=random
        )
        net[f"model.{3 * at + 1}.bias"] = 0.1 * torch.randn(after, generator=random)
        if at < 4:
            net[f"model.{3 * at + 3}.weight"] = 1 + 0.1 * torch.randn(after, generator=random)
            net[f"model.{3 * at + 3}.bias"] = 0.1 * torch.randn(after, generator=random)
    net["model.16.weight"] = 0.01 * torch.randn(3, 128, 8, 8, generator=random)
    net["model.16.bias"] = torch.tensor([1.0, 0.2, -0.2])
    torch.save(tables, folder / FILES[0])
    torch.save(net, folder / FILES[1])
    for part, file in zip(RETOUCH, FILES, strict=True):
        content = (folder / file).read_bytes()
        weights = replace(
            WEIGHTS[part], size=len(content), sha256=hashlib.sha256(content).hexdigest()
        )
        monkeypatch.setitem(WEIGHTS, part, weights)
    return folder


@pytest.fixture
def retouch(made: Path) -> Retouch:
    return Retouch(folders=[made], network=False)


def preview(width: int = 96, height: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.array(picture(width, height, seed))).permute(2, 0, 1).contiguous()


# The same in numpy, from the published files.


def enlarged(plane: Array, size: int) -> Array:
    """`[H, W]` at size x size, by Keys' cubic with a = -3/4, edges repeated."""

    def kernel(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.25 * x**3 - 2.25 * x**2 + 1
        return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    for _ in range(2):
        length = len(plane)
        rows = []
        for i in range(size):
            at = (i + 0.5) * length / size - 0.5
            low = int(np.floor(at))
            near = range(low - 1, low + 3)
            rows.append(sum(kernel(at - j) * plane[min(max(j, 0), length - 1)] for j in near))
        plane = np.stack(rows).T
    return plane


def convolved(x: Array, weight: Array, bias: Array, stride: int, pad: int) -> Array:
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    side = weight.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view
    seen = windows(windows(x, side, axis=1), side, axis=2)
    out: Array = np.einsum("chwij,ocij->ohw", seen[:, ::stride, ::stride], weight, optimize=True)
    return out + bias[:, None, None]


def by_numpy(net: dict[str, torch.Tensor], photo: torch.Tensor) -> Array:
    """The shares of the tables, in float64."""
    w = {name: value.double().numpy() for name, value in net.items()}
    x = np.stack([enlarged(plane / 255, 256) for plane in photo.double().numpy()]).clip(0, 1)
    for conv in (1, 4, 7, 10, 13):
        x = convolved(x, w[f"model.{conv}.weight"], w[f"model.{conv}.bias"], 2, 1)
        x = np.where(x > 0, x, 0.2 * x)
        if conv < 13:
            mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
            x = (x - mean) / np.sqrt(variance + 1e-5)
            gain, shift = w[f"model.{conv + 2}.weight"], w[f"model.{conv + 2}.bias"]
            x = x * gain[:, None, None] + shift[:, None, None]
    return convolved(x, w["model.16.weight"], w["model.16.bias"], 1, 0).ravel()


def looked_up(table: Array, pixel: Array) -> Array:
    """A pixel, r, g and b in [0, 1], by the table's eight entries around it."""
    place = pixel / (1.000001 / 32)
    low = np.floor(place).astype(int)
    part = place - low
    result = np.zeros(3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod([p if c else 1 - p for c, p in zip(corner, part, strict=True)])
        r, g, b = low + np.array(corner)
        result += weight * table[:, b, g, r]
    return result


def photos(data: Path, every: int) -> Iterator[tuple[str, torch.Tensor]]:
    found = sorted(p for p in (data / "photos").glob("*") if p.suffix in {".jpg", ".png", ".webp"})
    if not found:
        pytest.skip(f"no photographs at {data / 'photos'}")
    for path in found[::every]:
        with Image.open(path) as image:
            yield path.name, shrink(image.convert("RGB"), Retouch.input_size)


def test_the_network_is_what_numpy_makes_of_the_published_weights(real: Path, data: Path) -> None:
    tables, net = read(*(real / name for name in FILES))
    for name, photo in photos(data, 4):
        parts = by_numpy(net, photo)
        assert shares(net, photo).numpy() == pytest.approx(parts, abs=1e-4), name
        mixed = np.einsum("m,mcbgr->cbgr", parts, tables.double().numpy())
        pixels = photo.flatten(1)[:, :: photo[0].numel() // 150]
        drawn = look_up(mix(tables, shares(net, photo)), pixels.float() / 255).T
        known = [looked_up(mixed, pixel / 255) for pixel in pixels.T.double().numpy()]
        assert drawn.numpy() == pytest.approx(np.stack(known), abs=1e-4), name


def test_renderings_of_the_published_weights_are_blended_and_rounded(
    real: Path, data: Path
) -> None:
    retouch = Retouch(folders=[real], network=False)
    tables, net = read(*(real / name for name in FILES))
    for name, photo in photos(data, 9):
        table = mix(tables, shares(net, photo))
        pixels = photo.flatten(1).float() / 255
        made = look_up(table, pixels).clamp(0, 1)
        if torch.equal(photo[0], photo[1]) and torch.equal(photo[0], photo[2]):
            made = made.mean(0, keepdim=True)
        wished = ((1 - BLEND) * pixels + BLEND * made) * 255
        [drawn] = retouch.renderings(photo)
        assert (drawn.flatten(1) - wished).abs().max() < 0.501, name


def test_photos_are_not_dulled(real: Path, data: Path) -> None:
    """Where the photo has color, there is more of it, or hardly less; and more contrast mostly."""
    from nulie.color import lab

    retouch = Retouch(folders=[real], network=False)
    contrasts = []
    for name, photo in photos(data, 1):
        was, wished = (lab(one.flatten(1)[None])[0] for one in (photo, *retouch.renderings(photo)))
        chroma = was[1:].norm(dim=0).mean()
        assert chroma < 5 or wished[1:].norm(dim=0).mean() > 0.9 * chroma, name
        contrasts.append(float(wished[0].std() / was[0].std()))
    assert np.mean(contrasts) > 1


def test_the_table_of_all_colors_changes_none() -> None:
    levels = torch.linspace(0, 1.000001, 33)
    b, g, r = torch.meshgrid(levels, levels, levels, indexing="ij")
    pixels = torch.rand(3, 500)
    pixels[:, :2] = torch.tensor([0.0, 1.0])
    assert torch.allclose(look_up(torch.stack([r, g, b]), pixels), pixels, atol=1e-5)


def test_a_square_of_256_is_seen_as_it_is(made: Path) -> None:
    """Whichever way pictures of other sizes are brought to it."""
    _, net = read(*(made / name for name in FILES))
    photo = preview(256, 256)
    bilinear = functional.interpolate(photo[None].float(), (256, 256), mode="bilinear")[0]
    assert torch.equal(bilinear, photo.float())
    assert shares(net, photo).numpy() == pytest.approx(by_numpy(net, photo), abs=1e-4)


# The contract.


def test_a_batch_scores_as_its_candidates_do_one_by_one(retouch: Retouch) -> None:
    photo = preview()
    batch = torch.stack([photo, 255 - photo, photo // 2, *retouch.renderings(photo)])
    together = retouch.judge(photo)(batch).scores
    alone = torch.cat([retouch.judge(photo)(candidate[None]).scores for candidate in batch])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together[3] == pytest.approx(10, abs=1e-5)
    assert together[3] > together[0] > together[1]
    assert not together.requires_grad


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 9), (64, 512), (512, 64)])
def test_any_shape_and_any_flat_color_has_a_score(
    retouch: Retouch, width: int, height: int
) -> None:
    for level in (0, 128, 255):
        photo = torch.full((3, height, width), level, dtype=torch.uint8)
        scores = retouch.judge(photo)(torch.stack([photo, 255 - photo])).scores
        assert scores.isfinite().all()
        assert scores.max() <= 10


def test_grey_photos_are_rendered_grey(retouch: Retouch) -> None:
    grey = preview()[:1].expand(3, -1, -1).contiguous()
    [drawn] = retouch.renderings(grey)
    assert torch.equal(drawn, drawn[:1].expand_as(drawn))
    assert not torch.equal(drawn, grey)
    [drawn] = retouch.renderings(preview())
    assert not torch.equal(drawn, drawn[:1].expand_as(drawn))


# Files.


def test_files_are_downloaded_once_and_then_used(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Publisher() as publisher:
        monkeypatch.setenv("NULIE_HEADS_ENDPOINT", publisher.url)
        for part in RETOUCH:
            source: Any = WEIGHTS[part].source
            publisher.files[f"/{source.path}"] = (made / source.name).read_bytes()
        publisher.cuts = [100_000]
        with pytest.raises(WeightsError, match="broke off after 100000 of"):
            Retouch()
        calls: list[tuple[str, int, int]] = []
        first = Retouch(progress=lambda *call: calls.append(call))
        assert publisher.gets() == [None, "bytes=100000-", None]
        assert {name for name, _, _ in calls} == set(FILES)
        again, note = create("retouch")
        assert len(publisher.gets()) == 3
    assert isinstance(again, Retouch)
    assert note == ""
    assert again.sources == first.sources
    folder = tmp_path / "NULIE_HOME" / "retouch"
    assert first.sources == tuple(str(folder / name) for name in FILES)
    assert torch.equal(again.renderings(preview()), first.renderings(preview()))


def test_the_published_files_have_the_digests_on_record(real: Path) -> None:
    found = [store.find(WEIGHTS[part], [real]) for part in RETOUCH]
    assert found == [real / name for name in FILES]
    assert [path.stat().st_size for path in found if path] == [WEIGHTS[p].size for p in RETOUCH]


def test_without_files_and_network_the_remedy_is_said() -> None:
    for network, words in ((False, "is not on this machine"), (True, "cannot reach 127.0.0.1")):
        with pytest.raises(WeightsError, match=words) as caught:
            Retouch(network=network)
        assert "'nulie weights fetch retouch'" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_with_another_digest_is_never_read(made: Path) -> None:
    path = made / FILES[1]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="classifier is not on this machine"):
        Retouch(folders=[made], network=False)


def test_files_are_not_mistaken_for_each_other(made: Path) -> None:
    tables, net = (made / name for name in FILES)
    for wrong in ((net, net), (tables, tables), (net, tables)):
        with pytest.raises(WeightsError, match="are no tables and network of retouch"):
            read(*wrong)
    state = torch.load(net, weights_only=True)
    torch.save(state | {"model.16.bias": torch.zeros(4)}, net)
    with pytest.raises(WeightsError, match="hold tensors of wrong shapes"):
        read(tables, net)
    net.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"classifier.pth cannot be read as weights of retouch"):
        read(tables, net)


def test_what_is_for_clip_is_refused_and_a_device_that_is_not_there(made: Path) -> None:
    with pytest.raises(ModelError, match=r"a head and weights of CLIP are not for .* retouch"):
        create("retouch", head=made / FILES[0])
    with pytest.raises(ModelError, match="'abacus' is unknown"):
        create("retouch", device="abacus", folders=[made])


# In place of CLIP.


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which CLIP would be tried first."""
    monkeypatch.setattr("nulie.predictor.pace.evaluations", lambda seconds: 1e6)


@pytest.mark.usefixtures("_quick")
def test_auto_takes_it_where_clip_cannot_be_had(made: Path) -> None:
    chosen, note = create(folders=[made], network=False)
    assert isinstance(chosen, Retouch)
    assert note.startswith("judged by 'retouch', without CLIP: sac+logos+ava1-l14-linearMSE is not")
    chosen, note = create(folders=[made])
    assert isinstance(chosen, Retouch)
    assert "cannot reach 127.0.0.1" in note
    with pytest.raises(ModelError, match="'abacus' is unknown"):
        create(device="abacus", folders=[made])
    with pytest.raises(WeightsError, match="nowhere"):
        create(head=made / "nowhere", folders=[made])


@pytest.mark.usefixtures("_quick")
def test_auto_does_not_ask_a_host_twice_that_has_just_failed(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Publisher() as publisher:
        monkeypatch.setenv("NULIE_HEADS_ENDPOINT", publisher.url)
        for part in RETOUCH:
            source: Any = WEIGHTS[part].source
            publisher.files[f"/{source.path}"] = (made / source.name).read_bytes()
        chosen, note = create()
        assert isinstance(chosen, Statistics)
        assert note.startswith("judged by 'statistics', without CLIP: ")
        assert {path.rpartition("/")[2] for _, path, _ in publisher.requests} == {
            "sac%2Blogos%2Bava1-l14-linearMSE.pth"
        }


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("lacking", ["the encoder", "open_clip"])
def test_auto_downloads_it_where_only_the_rest_of_clip_is_lacking(
    made: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    if lacking == "open_clip":
        monkeypatch.setattr("nulie.predictor.clip.find_spec", lambda name: None)
    with Publisher() as publisher:
        monkeypatch.setenv("NULIE_HEADS_ENDPOINT", publisher.url)
        head = "sac+logos+ava1-l14-linearMSE"
        monkeypatch.setitem(
            WEIGHTS,
            head,
            replace(WEIGHTS[head], size=3, sha256=hashlib.sha256(b"sac").hexdigest()),
        )
        for part in RETOUCH:
            source: Any = WEIGHTS[part].source
            publisher.files[f"/{source.path}"] = (made / source.name).read_bytes()
        source = WEIGHTS[head].source
        publisher.files[source.url.removeprefix(publisher.url)] = b"sac"
        chosen, note = create()
    assert isinstance(chosen, Retouch)
    assert note.startswith("judged by 'retouch', without CLIP: ")


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("network", [True, False])
def test_auto_ends_at_statistics(network: bool) -> None:
    chosen, note = create(network=network)
    assert isinstance(chosen, Statistics)
    assert note.startswith("judged by 'statistics', without CLIP: ")


@pytest.mark.gpu
def test_gpu_and_cpu_agree(retouch: Retouch, made: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    photo = preview()
    batch = torch.stack([photo, 255 - photo])
    on_gpu = Retouch(device="cuda", folders=[made]).judge(photo)(batch.cuda()).scores
    assert on_gpu.is_cuda
    assert torch.allclose(on_gpu.cpu(), retouch.judge(photo)(batch).scores, atol=0.02)
