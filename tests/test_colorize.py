"""Colours for photos that have none: lightness kept, hints, models, recipes; with a network of
random weights, and with the real one where its file is."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch.nn import functional

from nulie import cli, color, enhance, image_io
from nulie.errors import SettingsError, UnknownModelError, WeightsError
from nulie.fit import colors
from nulie.image_io import Photo
from nulie.jobs import coloring, restoration
from nulie.models import store
from nulie.recipe import Recipe
from nulie.restore import color_models, color_net, color_series, colorize, hints
from nulie.restore.color_models import Guess, Spot
from nulie.restore.color_zhang import Zhang2016, Zhang2017

from .conftest import DATA, picture

HINT = "30%,40%=#7a2230"


class Painter:
    """Paints in strong colours that change from place to place."""

    name = "painter"
    digest = "0" * 64

    def __init__(self, chroma: float = 90.0) -> None:
        self.chroma = chroma

    def guess(self, picture: Image.Image, temperature: float, spots: Sequence[Spot]) -> Guess:
        grid = torch.linspace(0, 6.28, 16)
        a, b = torch.sin(grid).expand(12, 16), torch.cos(2 * grid).expand(12, 16)
        return Guess(self.chroma * torch.stack([a, b])[None])


def paint(photo: Photo, **params: float | str) -> Photo:
    return colorize.restore(photo, Painter(), params)


def lightness(levels: npt.NDArray[Any]) -> torch.Tensor:
    """L* of `[H, W, 3]` levels of 8 or 16 bits, computed in float64 by the definition."""
    share = torch.from_numpy(levels.astype(np.float64) / np.iinfo(levels.dtype).max)
    linear = torch.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    y = linear @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)
    return torch.where(y > 216 / 24389, 116 * y ** (1 / 3) - 16, y * 24389 / 27)


def grey(width: int = 200, height: int = 150) -> Image.Image:
    """All levels, with edges and noise."""
    return picture(width, height).convert("L").convert("RGB")


def chroma(pixels: Image.Image) -> npt.NDArray[Any]:
    levels = np.asarray(pixels, np.int16)
    spread: npt.NDArray[Any] = levels.max(2) - levels.min(2)
    return spread


def ramp() -> Image.Image:
    levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    return Image.fromarray(levels)


@pytest.mark.parametrize("chroma_asked", [20.0, 90.0, 300.0])
@pytest.mark.parametrize("image", [ramp(), grey(), picture()], ids=["ramp", "grey", "colored"])
def test_lightness_stays_that_of_the_photo(image: Image.Image, chroma_asked: float) -> None:
    made = colorize.restore(Photo(image), Painter(chroma_asked), {}).pixels
    before, after = (lightness(np.asarray(x)) for x in (image, made))
    assert float((before - after).abs().max()) < 0.3
    assert chroma(made).max() > 15, "nothing was painted"


def test_lightness_of_every_color_stays_when_it_is_painted_anew() -> None:
    levels = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3), -1).reshape(52 * 52, 52, 3)
    toned = Image.fromarray(levels.astype(np.uint8))
    made = paint(Photo(toned)).pixels
    before, after = (lightness(np.asarray(x)) for x in (toned, made))
    assert float((before - after).abs().max()) < 0.3


def test_sixteen_bits_are_sixteen_and_keep_their_lightness_better() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 65536, (60, 90, 1), dtype=np.uint16)
    deep = np.concatenate([one.repeat(3, 2), rng.integers(0, 65536, (60, 90, 1), np.uint16)], 2)
    pixels = Image.fromarray((one.repeat(3, 2) // 257).astype(np.uint8))
    alpha = Image.fromarray((deep[..., 3] // 257).astype(np.uint8))
    made = paint(Photo(pixels, alpha=alpha, deep=deep))
    assert made.deep is not None
    assert np.array_equal(made.deep[..., 3], deep[..., 3])
    off = lightness(made.deep[..., :3]) - lightness(deep[..., :3])
    assert float(off.abs().max()) < 0.005
    assert len(np.unique(made.deep[..., 0])) > 300


def test_colors_that_a_lightness_can_have_are_those_that_are_asked_for() -> None:
    light = color.to_linear(torch.full((1, 1), 0.5))
    made = colorize.colored(light, torch.zeros(2, 1, 1), torch.tensor([20.0, -15.0]).view(2, 1, 1))
    lab = color.from_light(made[None])[0]
    assert lab[1:].flatten().tolist() == pytest.approx([20, -15], abs=0.01)


def test_chroma_is_taken_back_no_further_than_needed() -> None:
    light = color.to_linear(torch.tensor([[0.05, 0.5, 0.97]]))
    made = colorize.colored(light, torch.zeros(2, 1, 3), torch.full((2, 1, 3), 80.0))
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    edge = torch.minimum(made, 1 - made).amin(0)
    assert float(edge.max()) < 1e-5, "a channel reaches the end of its range"


def test_colors_follow_edges_of_lightness() -> None:
    """A guess that is blurred over eight pixels is sharp where the photo is."""
    levels = np.full((128, 128, 3), 70, np.uint8)
    levels[:, 64:] = 180
    guess = torch.zeros(1, 2, 16, 16)
    guess[:, 0, :, :8] = 40
    plan = colorize.fitted(guess, Image.fromarray(levels))
    lab = color.lab(torch.from_numpy(levels).permute(2, 0, 1)[None])[0, 0]
    a = (plan.slopes[0, 0] * lab + plan.bases[0, 0])[64]
    blurred = functional.interpolate(guess, (128, 128), mode="bilinear")[0, 0, 64]
    assert float(a[63] - a[64]) > 25 > float(blurred[63] - blurred[64])


@pytest.mark.parametrize("paper", [0, 247])
def test_the_border_of_a_scan_gets_no_color(paper: int) -> None:
    image = Image.new("RGB", (300, 240), (paper,) * 3)
    image.paste(grey(240, 190), (30, 20))
    left, top, right, bottom = colorize.inside(image)
    assert abs(left - 30) <= 2
    assert abs(top - 20) <= 2
    assert abs(right - 270) <= 2
    assert abs(bottom - 210) <= 2
    made = paint(Photo(image)).pixels
    outside = np.ones((240, 300), bool)
    outside[20:210, 30:270] = False
    assert chroma(made)[outside].max() == 0
    assert np.median(chroma(made)[~outside]) > 20


def test_a_white_sky_that_fades_is_no_border() -> None:
    fade = np.linspace(255, 60, 200)[:, None].repeat(300, 1)
    noise = np.random.default_rng(0).normal(0, 0.5, fade.shape)
    levels = (fade + noise).clip(0, 255).astype(np.uint8)
    assert colorize.inside(Image.fromarray(levels).convert("RGB")) == (0, 0, 300, 200)


def test_toned_pictures_are_grey_first() -> None:
    image = grey()
    levels = np.asarray(image, np.float32)
    sepia = Image.fromarray((levels * [1.0, 0.87, 0.68]).clip(0, 255).astype(np.uint8))
    assert not colorize.in_color(sepia)
    assert not colorize.in_color(image)
    assert colorize.in_color(picture())
    pale = colorize.restore(Photo(sepia), Painter(0.0), {}).pixels
    assert chroma(pale).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (17, 9), (2000, 40)])
def test_any_size(size: tuple[int, int], own: color_models.Own) -> None:
    made = colorize.restore(Photo(grey(600, 600).resize(size)), own, {"hint1": HINT})
    assert made.size == size


def test_strength_and_variants(own: color_models.Own) -> None:
    photo = Photo(grey())
    made = {
        variant: chroma(colorize.restore(photo, own, {"variant": variant}).pixels).mean()
        for variant in colorize.VARIANTS
    }
    half = chroma(colorize.restore(photo, own, {"strength": 0.5}).pixels).mean()
    none = chroma(colorize.restore(photo, own, {"strength": 0.0}).pixels).mean()
    assert made["vivid"] > made["plain"] > half > none == 0
    assert made["soft"] != made["plain"]


def test_a_hint_rules_where_it_is_and_where_all_is_like_it(own: color_models.Own) -> None:
    levels = np.full((128, 192, 3), 90, np.uint8)
    levels[:, 96:] = 200
    photo = Photo(Image.fromarray(levels))
    made = colorize.restore(photo, own, {"hint1": "25%,50%=#c02020"}).pixels
    lab = color.lab(torch.from_numpy(np.array(made)).permute(2, 0, 1)[None])[0]
    _, a, b = color.lab(torch.tensor([0xC0, 0x20, 0x20], dtype=torch.uint8).view(1, 3, 1)).flatten()
    there, beyond = lab[1:, 64, 48], lab[1:, 64, 144]
    wanted = torch.stack([a, b])
    # At that lightness sRGB has less chroma than was asked for.
    assert float(functional.cosine_similarity(there, wanted, 0)) > 0.98
    assert float(there.norm()) > 40 > 20 > float(beyond.norm())


def test_hints_are_checked() -> None:
    assert hints.parse("12,30=#0a0B0c", (24, 60)) == ((12.5 / 24), (30.5 / 60), (10, 11, 12))
    assert hints.parse("25%,50%=ffffff") == (0.25, 0.5, (255, 255, 255))
    assert hints.parse(str(hints.parse("25%,50%=ffffff")), (9, 9)).x == 0.25
    for text in ("", "12=#ffffff", "1,2=#fff", "1,2=red", "x,2=#ffffff", "-1,2=#ffffff"):
        with pytest.raises(SettingsError, match="--hint"):
            hints.parse(text)
    with pytest.raises(SettingsError, match="outside the photo of 24 x 60 pixels"):
        hints.parse("24,30=#ffffff", (24, 60))


# The models.


def save(net: torch.nn.Module, path: Path) -> Path:
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture
def mobilenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MobileNetV2 of random weights in the place of torchvision's file."""
    from torchvision.models import mobilenet_v2

    folder = tmp_path / "home" / "restorers"
    folder.mkdir(parents=True)
    monkeypatch.setenv("NULIE_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    path = save(mobilenet_v2(), folder / "mobilenet_v2-b0353104.pth")
    data = path.read_bytes()
    other = replace(color_models.MOBILENET, size=len(data), sha256=sha256(data).hexdigest())
    monkeypatch.setattr(color_models, "MOBILENET", other)
    return path


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    """A file of nulie's with random weights that are large enough to be seen."""
    torch.manual_seed(1)
    net = color_net.Decoder(width=24)
    with torch.no_grad():
        net.out.weight.mul_(40)
    path = tmp_path / "random.safetensors"
    path.write_bytes(colors.to_bytes(net.state_dict(), gain=1.2))
    return path


@pytest.fixture
def own(mobilenet: Path, decoder: Path) -> color_models.Own:
    made = color_models.create(str(decoder))
    assert isinstance(made, color_models.Own)
    return made


def test_own_says_how_probable_colors_are(own: color_models.Own) -> None:
    guess = own.guess(grey(300, 200), 0.38, [])
    assert guess.colors.shape[2:] == (64, 96)
    assert guess.likeness is not None
    assert float((guess.likeness.square().sum(1) - 1).abs().max()) < 1e-4
    again = own.guess(grey(300, 200), 0.38, [])
    assert torch.equal(guess.colors, again.colors)


def test_an_annealed_mean() -> None:
    logits = torch.randn(1, 5, 3, 4)
    palette = torch.randn(5, 2)
    for temperature in (0.38, 1.0):
        powers = logits.softmax(1) ** (1 / temperature)
        shares = powers / powers.sum(1, keepdim=True)
        wanted = torch.einsum("bqhw,qc->bchw", shares, palette)
        assert torch.allclose(color_net.annealed(logits, temperature, palette), wanted, atol=1e-5)
    likeliest = color_net.annealed(logits, 1e-3, palette)
    assert torch.allclose(likeliest[0, :, 0, 0], palette[logits[0, :, 0, 0].argmax()], atol=1e-4)


def test_the_palette_is_what_srgb_can_show() -> None:
    palette = color_net.palette()
    assert 200 < len(palette) < 260
    assert [0.0, 0.0] in palette.tolist()
    assert [110.0, 110.0] not in palette.tolist()


def test_lab_and_back() -> None:
    levels = torch.randint(0, 256, (1, 3, 40, 40), dtype=torch.uint8)
    lab = color.lab(levels)
    back = 255 * color.to_levels(color.to_light(lab))
    assert float((back - levels).abs().max()) < 0.05
    light = color.from_light(color.to_linear(levels / 255))
    assert torch.allclose(light, lab, atol=1e-3)


def test_zhangs_network_of_2016(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Zhang2016(width=4, bins=31).eval()
    path = save(net, tmp_path / "mine.pth")
    model = color_models.create(str(path))
    assert isinstance(model, color_models.Zhang)
    assert isinstance(model.net, Zhang2016)
    image = grey(256, 256)
    guess = model.guess(image, 0.38, [])
    seen = color_models.lightness(image, (256, 256))
    with torch.no_grad():
        logits = net(seen)
        assert logits.shape == (1, 31, 64, 64)
        # What their own program computes: a convolution of the shares, in parts of 110.
        wanted = 110 * net.model_out(logits.softmax(1))
    assert torch.allclose(guess.colors, wanted, atol=1e-3)
    assert not torch.allclose(guess.colors, model.guess(image, 1.0, []).colors, atol=1e-3)


def test_zhangs_network_of_2017_takes_hints(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Zhang2017(width=4, bins=7).eval()
    model = color_models.create(str(save(net, tmp_path / "mine.pth")))
    image = grey(256, 256)
    plain = model.guess(image, 0.38, [])
    told = model.guess(image, 0.38, [Spot(0.5, 0.5, 60, 40)])
    assert plain.colors.shape == (1, 2, 256, 256)
    assert told.told
    assert not plain.told
    change = (plain.colors - told.colors).abs().sum((0, 1))
    assert float(change[128, 128]) > 0 == float(change[0, 0])
    made = colorize.restore(Photo(image), model, {"hint1": "50%,50%=#aa2222"})
    assert made.size == image.size


@pytest.mark.parametrize(
    ("kind", "layers", "size"), [(Zhang2016, 7, 128_976_165), (Zhang2017, 9, 136_787_426)]
)
def test_the_published_files_have_the_size_of_these_networks(
    kind: type[torch.nn.Module], layers: int, size: int
) -> None:
    """Within what names and pickling take: about 100 bytes a tensor."""
    weights = kind().state_dict()
    norms = [name for name in weights if name.endswith("num_batches_tracked")]
    assert len(norms) == layers
    tensors = sum(4 * w.numel() for n, w in weights.items() if n not in norms)
    assert 0 < size - tensors < 250 * len(weights)
    name = "eccv16" if kind is Zhang2016 else "siggraph17"
    assert color_models.PUBLISHED[name].size == size


def test_older_files_without_counts_of_batches_are_read(tmp_path: Path) -> None:
    weights = {
        name: value
        for name, value in Zhang2016(width=4).state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(weights, tmp_path / "old.pth")
    assert color_models.create(str(tmp_path / "old.pth")).name == "old"


def test_files_that_are_no_models_that_colour(tmp_path: Path, mobilenet: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="is no file for a model that colours"):
        color_models.create(str(tmp_path / "other.pth"))
    broken = {**Zhang2016(width=4).state_dict(), "model3.0.weight": torch.zeros(2)}
    torch.save(broken, tmp_path / "broken.pth")
    with pytest.raises(WeightsError, match="is no network of Zhang's"):
        color_models.create(str(tmp_path / "broken.pth"))
    bad = color_net.Decoder(24).state_dict()
    del bad["out.weight"]
    (tmp_path / "bad.safetensors").write_bytes(colors.to_bytes(bad, gain=1.0))
    with pytest.raises(WeightsError, match="is no model that colours, or damaged"):
        color_models.create(str(tmp_path / "bad.safetensors"))
    with pytest.raises(UnknownModelError, match="did you mean own-color"):
        color_models.create("own-colour")
    with pytest.raises(WeightsError, match="other weights of own-color"):
        color_models.create("own-color@" + "0" * 64)


# Recipes and frontends.


def test_values_and_texts() -> None:
    assert coloring.read({}) is None
    assert coloring.read({"colorize": "auto"}) == coloring.Coloring()
    read = coloring.read({"color_variant": "vivid", "hint": HINT})
    assert read == coloring.Coloring("own-color", "vivid", (HINT,))
    assert coloring.read({"colorize": "eccv16"}) == coloring.Coloring("eccv16")
    with pytest.raises(SettingsError, match="'loud' is unknown; known: plain, soft, vivid"):
        coloring.read({"color_variant": "loud"})
    with pytest.raises(SettingsError, match="--hint red"):
        coloring.read({"hint": ["red"]})
    for text in ("colorize", "colorize=soft, only"):
        given = restoration.of_text(text)
        wanted = restoration.read(given)
        said = restoration.to_text(wanted, search=given.get("search", True))
        assert restoration.of_text(said) == given


def test_a_recipe_carries_the_step_and_does_the_same_again(
    own: color_models.Own, tmp_path: Path, decoder: Path
) -> None:
    photo = tmp_path / "old.png"
    grey().convert("L").save(photo)
    wanted: Mapping[str, object] = {"colorize": str(decoder), "hint": "60,60=#7a2230"}
    result = enhance(photo, predictor="statistics", evaluations=20, **wanted)  # type: ignore[arg-type]
    [step] = result.recipe.before
    assert step.op == "colorize"
    assert step.name == "random"
    params = dict(step.params)
    assert params == {"variant": "plain", "temperature": 0.38, "hint1": params["hint1"]}
    assert Recipe.from_json(result.recipe.to_json()) == result.recipe
    restorers = restoration.Restorers()
    restorers.colorist(str(decoder))
    again = restorers.restorer(step)(image_io.load(photo))
    assert chroma(again.pixels).max() > 20


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.mark.parametrize("option", ["--colorize", "--colourize"])
def test_on_the_command_line(
    option: str, own: color_models.Own, decoder: Path, tmp_path: Path
) -> None:
    photo, result = tmp_path / "old.jpg", tmp_path / "new.jpg"
    grey().convert("L").save(photo)
    done = run(photo, "-o", result, option, decoder, "--no-search", "--color-variant", "vivid")
    assert done == 0
    made = image_io.load(result)
    assert not made.grey
    assert chroma(made.pixels).max() > 20


def test_a_photo_in_color_is_said_to_be_one(
    own: color_models.Own, decoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "new.png"
    picture().save(photo)
    assert run(photo, "--colorize", decoder, "--no-search") == 0
    assert "it is in colour already" in "".join(capsys.readouterr())
    with Image.open(tmp_path / "new_nulie.png") as kept:
        assert kept.tobytes() == picture().tobytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hint", "7"), "--hint 7: write it as X,Y=#RRGGBB"),
        (("--hint", "999,5=#ffffff"), "outside the photo of 200 x 150 pixels"),
        (("--color-variant", "loud"), "color-variant 'loud' is unknown"),
        (("--colorize", "own-colr"), "no model that colours is called 'own-colr'"),
    ],
)
def test_mistakes_are_said_in_one_line(
    arguments: tuple[str, ...], said: str, own: color_models.Own, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    photo = tmp_path / "old.png"
    grey().save(photo)
    assert run(photo, "--no-search", *arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


# The training.


def photographs(count: int = 6) -> list[npt.NDArray[Any]]:
    """Bright places are yellow, dark ones blue: something to learn."""
    made = []
    for seed in range(count):
        levels = np.asarray(picture(140, 120, seed).convert("L"), np.float32)[..., None] / 255
        colored = levels * [250, 220, 40] + (1 - levels) * [20, 30, 160]
        made.append(colored.astype(np.uint8))
    return made


def training(photos: list[npt.NDArray[Any]]) -> colors.Training:
    torch.manual_seed(0)
    return colors.Training(color_net.Features(), photos, seed=3)


def test_it_learns() -> None:
    learner = training(photographs())
    offs = [learner.step(number / 25) for number in range(25)]
    assert learner.done == 25
    assert np.mean(offs[-3:]) < 0.6 * np.mean(offs[:2])


@pytest.mark.slow
def test_it_goes_on_from_its_state() -> None:
    photos = photographs(3)
    learner, other = training(photos), training(photos)
    learner.step(0.1)
    other.load_state(learner.state())
    assert other.done == 1
    assert all(torch.equal(v, other.average[k]) for k, v in learner.average.items())
    other.step(0.2)


def test_soft_targets_count_the_nearest_colors_most() -> None:
    index, shares = colors.soft_targets()
    assert torch.allclose(shares.sum(-1), torch.ones(221, 221), atol=1e-5)
    nearest = color_net.palette()[index[110 + 42, 110 - 17]]
    assert nearest[0].tolist() == [40, -20]
    mean = (shares[150, 90, :, None] * color_net.palette()[index[150, 90]]).sum(0)
    assert mean.tolist() == pytest.approx([40, -20], abs=0.5)


def test_rare_colors_count_more() -> None:
    learner = training(photographs(2))
    palette = color_net.palette()
    often = (palette - torch.tensor([0.0, 60.0])).norm(dim=1).argmin()
    never = (palette - torch.tensor([-80.0, 80.0])).norm(dim=1).argmin()
    assert learner.balance[never] > learner.balance[often]


def test_figures() -> None:
    truth = np.asarray(picture())
    same = colors.figures([truth], [truth])
    assert same.off == 0
    assert same.better == 1
    assert same.colorful == pytest.approx(1)
    flat = np.asarray(picture().convert("L").convert("RGB"))
    none = colors.figures([truth], [flat])
    assert none.off == pytest.approx(none.grey, abs=0.1)
    assert none.colorful == pytest.approx(0)


@pytest.mark.slow
def test_training_on_the_command_line(
    mobilenet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, photo in enumerate(photographs(12)):
        Image.fromarray(photo).save(folder / f"{number:02}.png")
    grey().save(folder / "grey.png")
    assert run("train", "color", folder, "--name", "ours", "--steps", 3) == 0
    said = capsys.readouterr()
    assert "grey.png is left out: it has no colours to learn from" in said.err
    assert "trained on 10 pictures in 3 steps" in said.out
    assert "better than grey" in said.out
    assert "vivid" in said.out
    with Image.open(tmp_path / "home/trained/ours.png") as sheet:
        assert sheet.size == (480, 320)
    old = tmp_path / "old.png"
    grey().save(old)
    assert run(old, "--no-search", "--colorize", "ours") == 0
    assert run("train", "color", folder, "--name", "ours", "--steps", 3) == 2
    assert run("train", "color", folder, "--name", "own-color", "--steps", 3) == 2
    assert run("train", "color", folder, "--name", "x", "--spoiled", folder) == 2


# Pictures that follow each other.


def passing(count: int = 4) -> list[Photo]:
    """Something bright goes by below the middle of a grey picture."""
    still, made = grey(384, 256), []
    for number in range(count):
        frame = still.copy()
        frame.paste((250, 250, 250), (20 + 40 * number, 170, 90 + 40 * number, 230))
        made.append(Photo(frame))
    return made


class Swimming:
    """Its guess follows the mean of the whole picture, as those of networks do a little."""

    name, digest = "swimming", "0" * 64

    def guess(self, picture: Image.Image, temperature: float, spots: Sequence[Spot]) -> Guess:
        mean = float(np.asarray(picture).mean())
        return Guess(torch.tensor([mean / 4, mean / 2 - 40]).view(1, 2, 1, 1).repeat(1, 1, 64, 96))


def test_what_does_not_change_keeps_its_colors() -> None:
    """To the level; a guess of each picture by itself has other ones there."""
    own, series = Swimming(), color_series.Series()
    photos = passing()
    photos[0] = Photo(grey(384, 256))
    carried = [np.asarray(series.restore(p, own, {}).pixels).astype(int) for p in photos]
    each = [np.asarray(colorize.restore(p, own, {}).pixels).astype(int) for p in photos]
    assert np.abs(each[1] - each[0])[:140].max() > 1
    for one in carried[1:]:
        assert (one[:140] == carried[0][:140]).all()
        assert np.ptp(one[:140], axis=2).max() > 8, "has colours"
    assert (carried[1][170:230] != carried[0][170:230]).any()
    assert (carried[0] == each[0]).all(), "which it begins with"
    series.begin()
    assert (np.asarray(series.restore(photos[3], own, {}).pixels) == each[3]).all()


def texture(seed: int) -> torch.Tensor:
    """`[60, 90]`: L* of spots of some places' width."""
    noise = torch.rand(1, 66, 96, generator=torch.Generator().manual_seed(seed))
    return (50 + 400 * (functional.avg_pool2d(noise, 7, 1)[0] - 0.5)).clamp(0, 100)


def test_colors_go_with_what_moves() -> None:
    light, other = (texture(seed) for seed in range(2))
    x, y = torch.arange(90.0).expand(60, 90), torch.arange(60.0)[:, None].expand(60, 90)
    hues = torch.stack([x, y])
    moved, seen = torch.roll(light, (3, -7), (0, 1)), torch.roll(hues, (3, -7), (1, 2))
    carried, apart, far = color_series.follow(moved, light, hues)
    inner = (..., slice(12, -12), slice(12, -12))
    assert float((carried == seen)[inner].float().mean()) > 0.95
    assert float(apart[inner].mean()) < color_series.KNOWN
    assert far == 7
    assert float(color_series.follow(other, light, hues)[1].mean()) > color_series.NEW


# nulie's own, with the real network that it sees with.


@pytest.fixture
def real() -> color_models.Own:
    if store.find(color_models.MOBILENET, [DATA / "models"]) is None:
        pytest.skip("no mobilenet_v2-b0353104.pth; 'nulie weights fetch mobilenet-v2' gets it")
    made = color_models.create(color_models.OWN)
    assert isinstance(made, color_models.Own)
    return made


def test_own_is_nearer_than_grey_for_most(real: color_models.Own, data: Path) -> None:
    names = (data / "photos-colour" / "MANIFEST.tsv").read_text().splitlines()
    apart = [line.split("\t")[0] for line in names if "\tapart\t" in line]
    truths = [
        np.asarray(Image.open(data / "photos-colour" / name).convert("RGB")) for name in apart
    ]
    made = [
        np.asarray(colorize.restore(Photo(Image.fromarray(truth)), real, {}).pixels)
        for truth in truths
    ]
    found = colors.figures(truths, made)
    assert found.off < found.grey
    assert found.better >= 0.6
    assert found.colorful >= 0.6


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ddcolor_gives_colors_to_our_lightness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With random weights, and few of them."""
    pytest.importorskip("spandrel_extra_arches")
    kind = import_module("spandrel_extra_arches.architectures.DDColor.__arch.ddcolor")
    torch.manual_seed(0)
    net = kind.DDColor(
        encoder_name="convnext-t", num_output_channels=2, last_norm="Spectral",
        input_size=(64, 64), num_queries=8, dec_layers=1,
    ).eval()  # fmt: skip
    path = tmp_path / "random.pth"
    torch.save({"params": net.state_dict()}, path)
    monkeypatch.setattr(color_models.DDColor, "side", 64)
    model = color_models.create(str(path))
    assert isinstance(model, color_models.DDColor)
    guess = model.guess(grey(), 0.38, [])
    assert guess.colors.shape == (1, 2, 64, 64)
    seen = color_net.grey(color_models.lightness(grey(), (64, 64)))
    with torch.no_grad():
        assert torch.allclose(guess.colors, net(seen.expand(-1, 3, -1, -1)), atol=1e-4)
    made = colorize.restore(Photo(grey()), model, {"hint1": HINT})
    off = lightness(np.asarray(made.pixels)) - lightness(np.asarray(grey()))
    assert float(off.abs().max()) < 0.3


def test_without_the_extra_nothing_is_downloaded_for_ddcolor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    photo = tmp_path / "old.png"
    grey().save(photo)
    assert run(photo, "--no-search", "--colorize", "ddcolor") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "DDColor needs spandrel_extra_arches" in line
    assert "[color]" in line
