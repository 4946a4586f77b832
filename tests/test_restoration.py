"""Restoration as users meet it: what a photo needs, the command line, recipes, Python."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import nulie
from nulie import image_io
from nulie.errors import NulieError, RecipeError, SettingsError, UnknownModelError
from nulie.fit.critics import unlike
from nulie.fit.restorers import JOBS, to_bytes
from nulie.image_io import Metadata, Photo, icc
from nulie.jobs import restoration
from nulie.jobs.plan import plan
from nulie.recipe import ModelStep, Recipe
from nulie.restore import catalog, create, model_id, pictures
from nulie.restore.net import Net
from nulie.restore.own import Own

from .conftest import ROOT, photographs, picture

POOR = {"budgie_blue-periwinkle", "budgie_extreme-desert-hike", "budgie_tea-gardens"}
"""Those of the photographs that are JPEGs of quality 62."""


def run(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "standalone.py"), *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A picture without noise, saved as a PNG."""
    x, y = np.meshgrid(np.arange(120), np.arange(90))
    waves = [128 + 100 * np.sin(x / a) * np.cos(y / b) for a, b in ((9, 14), (17, 8), (11, 23))]
    path = tmp_path / "small.png"
    Image.fromarray(np.stack(waves, -1).clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("path", photographs())
def test_auto_leaves_good_photographs_alone(path: Path) -> None:
    wanted = restoration.read({"repair": "auto", "denoise": "auto"})
    steps, notes = restoration.first_steps(image_io.load(path), wanted, restoration.Restorers())
    if path.stem in POOR:
        assert [(s.op, dict(s.params)) for s in steps] == [("repair", {"quality": 62.0})]
        assert notes == ["it was saved as a JPEG of quality 62: repaired"]
    else:
        assert (steps, notes) == ((), [])


def test_a_poor_jpeg_is_known_by_its_tables_or_its_pixels(tmp_path: Path) -> None:
    clean = picture(400, 300)
    clean.save(tmp_path / "poor.jpg", quality=30)
    Image.open(tmp_path / "poor.jpg").save(tmp_path / "poor.png")
    for name in ("poor.jpg", "poor.png"):
        photo = image_io.load(tmp_path / name)
        wanted = restoration.read({"repair": "auto", "denoise": "auto"})
        (step,), _ = restoration.first_steps(photo, wanted, restoration.Restorers())
        assert step.op == "repair"
        assert abs(float(dict(step.params)["quality"]) - 30) <= 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"repair": "0"}, "repair must be within 1..100, or auto, not 0"),
        ({"repair": "much"}, "repair must be a number, not much"),
        ({"denoise": 80}, "denoise must be within 0.1..75, or auto, not 80"),
        ({"denoise": "nan"}, "denoise must be within"),
        ({"upscale": "huge"}, "--upscale huge: write a factor"),
        ({"scan": True, "restore_strength": 2}, "restore-strength must be within 0..1, not 2"),
        ({"search": False}, "--no-search leaves nothing to be done"),
        ({"repair": "auto", "recipe": "[]"}, "--repair and --recipe"),
    ],
)
def test_values_without_a_meaning(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        plan(values)


def test_a_photo_is_restored_searched_and_enlarged(small: Path) -> None:
    options = [
        "--repair",
        "50",
        "--denoise",
        "10",
        "--upscale",
        "2",
        "--evaluations",
        "60",
        "--predictor",
        "statistics",
    ]
    done = run(small, *options, "--json", cwd=small.parent)
    told = json.loads(done.stdout)
    steps = told["recipe"]["steps"]
    assert [s["op"] for s in steps[:2]] == ["repair", "denoise"]
    assert (steps[0]["quality"], steps[1]["sigma"]) == (50, 10)
    assert steps[-1]["op"] == "upscale"
    assert steps[-1]["model"] == model_id(create("x2", "cpu"))
    (result,) = told["output"]
    with Image.open(result) as made:
        assert made.size == (240, 180)
        first = made.convert("RGB").tobytes()
    # The recipe in the result makes the same of the photo, without a search.
    again = small.with_name("again.png")
    run(small, "--recipe", result, "-o", again, cwd=small.parent)
    with Image.open(again) as made:
        assert made.convert("RGB").tobytes() == first


def test_restored_alone_and_said(small: Path) -> None:
    done = run(small, "--upscale", "150x", "--no-search", cwd=small.parent)
    assert "upscale by x2 (size 150x)" in done.stdout
    with Image.open(small.with_name("small_nulie.png")) as made:
        assert made.size == (150, 112)


def test_a_photo_that_needs_nothing_is_copied(small: Path) -> None:
    run(small, "--repair", "--denoise", "--no-search", cwd=small.parent)
    assert small.with_name("small_nulie.png").read_bytes() == small.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--upscale 60", "would make 7200 x 5400 pixels"),
        ("--model nonsense", "no restorer is called 'nonsense'"),
        ("--model absent.pth", "absent.pth does not exist"),
        ("--denoise --faithful 0.5", "--faithful says how a picture is enlarged"),
        ("--upscale 2 --faithful 2", "faithful must be within 0..1, not 2"),
    ],
)
def test_mistakes_cost_a_sentence(options: str, message: str, small: Path) -> None:
    if "60" in options:
        Image.open(small).resize((3000, 2000)).save(small)
        message = "would make 180000 x 120000 pixels"
    done = run(small, *options.split(), "--no-search", cwd=small.parent, code=2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not small.with_name("small_nulie.png").exists()


def test_a_licence_is_told_before_the_download(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("spandrel")
    monkeypatch.setenv("NULIE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NULIE_RESTORERS_ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    options = "--model", "realesr-general-x4v3", "--no-search"
    done = run(small, *options, cwd=small.parent, code=2)
    assert done.stdout == ("realesr-general-x4v3 is downloaded, once: 5 MB, licence BSD-3-Clause\n")
    assert "cannot reach 127.0.0.1:9" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_recipe_names_neither_files_nor_code(small: Path, monkeypatch, tmp_path: Path) -> None:
    """It may come from anywhere."""
    (tmp_path / "evil_module.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("evil_module:Model", str(catalog.FOLDER / "x2.safetensors")):
        recipe = Recipe(after=(ModelStep.of("upscale", f"{name}@{'0' * 64}"),))
        with pytest.raises((UnknownModelError, RecipeError)):
            nulie.apply(recipe, small)
    with pytest.raises(NulieError, match="was made with other weights of the restorer x2"):
        nulie.apply(Recipe(after=(ModelStep.of("upscale", f"x2@{'0' * 64}"),)), small)


def test_from_python(small: Path) -> None:
    result = nulie.enhance(
        str(small), evaluations=40, predictor="statistics", repair=60, upscale=1.5
    )
    assert result.image.size == (180, 135)
    assert next(s.op for s in result.recipe.entries) == "repair"
    assert result.recipe.after[0].params == (("size", "1.5"),)
    assert nulie.apply(result.recipe, str(small)).tobytes() == result.image.tobytes()


def test_it_can_be_stopped(small: Path) -> None:
    """While it restores: nothing is made. Set before, as by the end of a search: it is finished."""
    photo, cancel = image_io.load(small), threading.Event()
    restorers = restoration.Restorers()
    step = ModelStep.of("upscale", model_id(restorers.get("x2")), size="2")
    from nulie.jobs.inputs import Item

    events = restoration.apply(Item(small), Recipe((), (), (step,)), photo, restorers, cancel)
    cancel.set()
    made = None
    while True:
        try:
            next(events)
        except StopIteration as end:
            made = end.value
            break
    assert made is not None
    assert made.size == (240, 180)


# Whole pictures


def test_transparency_is_enlarged_and_lets_no_color_in() -> None:
    """Red is hidden under the transparent half, next to green."""
    pixels = Image.new("RGB", (64, 48), (20, 160, 40))
    pixels.paste((255, 0, 0), (32, 0, 64, 48))
    alpha = Image.new("L", (64, 48), 255)
    alpha.paste(0, (32, 0, 64, 48))
    made = pictures.restore(Photo(pixels, alpha), create("x2", "cpu"), {})
    assert made.size == (128, 96)
    assert made.alpha is not None
    assert made.alpha.size == (128, 96)
    edge = np.asarray(made.pixels)[:, 56:72].astype(int)
    assert np.abs(edge - (20, 160, 40)).max() < 12
    shown = np.asarray(made.alpha).astype(int)
    assert shown[:, :60].min() > 245
    assert shown[:, 68:].max() < 10


@pytest.mark.parametrize("name", catalog.OWN)
def test_grey_stays_grey_and_colors_stay(name: str) -> None:
    restorer = create(name, "cpu")
    params = {dial.name: 30.0 for dial in restorer.dials if dial.name in ("quality", "sigma")}
    grey = picture(90, 70).convert("L").convert("RGB")
    made = np.asarray(pictures.restore(Photo(grey, grey=True), restorer, params).pixels)
    assert (made[..., 0] == made[..., 1]).all()
    assert (made[..., 0] == made[..., 2]).all()
    photo = Photo(picture(91, 67))
    made = np.asarray(pictures.restore(photo, restorer, params).pixels)
    assert made.shape == (67 * restorer.scale, 91 * restorer.scale, 3)
    shift = made.mean((0, 1)) - np.asarray(photo.pixels).mean((0, 1))
    assert np.abs(shift).max() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 5), (1, 40), (97, 2)])
@pytest.mark.parametrize("name", catalog.OWN)
def test_pictures_of_any_size(name: str, size: tuple[int, int]) -> None:
    restorer = create(name, "cpu")
    made = pictures.restore(Photo(picture(*size)), restorer, {})
    assert made.size == (size[0] * restorer.scale, size[1] * restorer.scale)


def test_sizes_and_resolution_are_those_of_the_result(tmp_path: Path) -> None:
    """Prints keep their size."""
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 300, 150, 2
    exif.get_ifd(0x8769).update({0xA002: 64, 0xA003: 48})
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture(64, 48).save(source, dpi=(300, 150), exif=exif, quality=95)
    run(source, "--upscale", "3", "--no-search", "-o", target, cwd=tmp_path)
    with Image.open(target) as made:
        assert made.size == (192, 144)
        assert made.info["dpi"] == (900, 450)
        said = made.getexif()
        assert (said[0x011A], said[0x011B]) == (900, 450)
        inside = said.get_ifd(0x8769)
        assert (inside[0xA002], inside[0xA003]) == (192, 144)


def test_sixteen_bits_stay_sixteen() -> None:
    """A ramp of 1,000 levels between two of 8 bits is still one, and no other than at 8 bits."""
    ramp = np.linspace(100 * 257, 110 * 257, 240)[None, :, None].repeat(60, 0).repeat(3, 2)
    deep = ramp.astype(np.uint16)
    pixels = Image.fromarray((deep / 257).round().astype(np.uint8))
    photo = Photo(pixels, deep=deep)
    for name, params in (("denoise", {"sigma": 5.0}), ("x2", {}), ("x2", {"size": "1.5"})):
        made = pictures.restore(photo, create(name, "cpu"), params)
        assert made.deep is not None
        assert made.deep.dtype == np.uint16
        assert made.deep.shape[:2] == made.size[::-1]
        assert len(np.unique(made.deep[10, :, 0])) > 150
        difference = made.deep[..., :3].astype(float) / 257 - np.asarray(made.pixels)
        assert np.abs(difference).max() <= 0.51


@pytest.mark.parametrize("bits", [8, 16])
def test_linear_light_is_taken_through_srgb(bits: int, tmp_path: Path) -> None:
    """Where the profile says so; and back, with the profile."""
    ordinary = Photo(picture(80, 60))
    share = np.asarray(ordinary.pixels) / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    profile = icc.of_chunks({b"cICP": b"\1\x08\0\1"}, grey=False)
    assert profile is not None
    assert icc.is_linear(profile)
    assert not icc.is_linear(icc.srgb())
    pixels = Image.fromarray((255 * light).round().astype(np.uint8))
    deep = (65535 * light).round().astype(np.uint16) if bits == 16 else None
    photo = Photo(pixels, metadata=Metadata(icc_profile=profile), deep=deep)
    if bits == 8:
        # What is rounded in linear light is another picture, and not one of whole levels: where a
        # picture is of two minds, a network may make ten levels of half a level.
        levels = np.asarray(pixels) / 255
        dark = levels <= 0.0031308
        levels = np.where(dark, 12.92 * levels, 1.055 * levels ** (1 / 2.4) - 0.055)
        ordinary = Photo(ordinary.pixels, deep=(65535 * levels).round().astype(np.uint16))
    for name, params in (("x2", {}), ("denoise", {"sigma": 20.0})):
        meant = pictures.restore(ordinary, create(name, "cpu"), params)
        made = pictures.restore(photo, create(name, "cpu"), params)
        assert made.metadata.icc_profile == profile
        assert (made.deep is not None) == (bits == 16)
        shown = icc.in_srgb(made.pixels, profile)
        assert shown is not None
        off = np.abs(np.asarray(shown).astype(int) - np.asarray(meant.pixels))
        bright = np.asarray(meant.pixels) > 60  # below, linear levels of 8 bits are far apart
        assert off[bright].max() <= 4
        assert off[bright].mean() < 1


def test_strength_is_a_mixture() -> None:
    restorer, photo = create("denoise", "cpu"), Photo(picture(80, 60))

    def at(strength: float) -> npt.NDArray[Any]:
        params = {"sigma": 20.0, "strength": strength}
        return np.asarray(pictures.restore(photo, restorer, params).pixels).astype(float)

    before = np.asarray(photo.pixels).astype(float)
    assert (at(0.0) == before).all()
    assert np.abs(at(0.5) - (at(1.0) + before) / 2).max() <= 1.6
    assert np.abs(at(1.0) - before).mean() > 2


@pytest.mark.parametrize("path", photographs()[::5])
def test_they_are_worth_it(path: Path) -> None:
    """A floor under every network that comes along, on photographs; figures are in benchmarks."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((640, 640), Image.Resampling.LANCZOS)
    image = image.crop((0, 0, image.width // 8 * 8, image.height // 8 * 8))
    truth = np.asarray(image).astype(float)

    def psnr(other: Image.Image) -> float:
        error = np.mean((np.asarray(other).astype(float) - truth) ** 2)
        return float(10 * np.log10(255**2 / max(error, 1e-6)))

    def gain(name: str, spoiled: Image.Image, **params: float) -> float:
        made = pictures.restore(Photo(spoiled), create(name, "cpu"), params).pixels
        return psnr(made) - psnr(spoiled.resize(image.size, Image.Resampling.BICUBIC))

    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
    assert gain("x2", half) > 0.8
    quarter = image.resize((image.width // 4, image.height // 4), Image.Resampling.BICUBIC)
    assert gain("x4", quarter) > 0.3
    for quality, least in ((20, 0.4), (40, 0.35), (75, 0.2), (90, 0), (95, 0)):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        assert gain("repair", Image.open(stream).convert("RGB"), quality=quality) > least
    noise = np.random.default_rng(0).normal(0, 25, truth.shape)
    noisy = Image.fromarray((truth + noise).clip(0, 255).round().astype(np.uint8))
    assert gain("denoise", noisy, sigma=25) > 6


def test_vivid_looks_nearer_and_is_not_far_off(data: Path) -> None:
    """To a network that knows photographs; faithful is nearer point by point."""
    rows = []
    for parameters in photographs()[::4]:
        image = Image.open(parameters.values[0]).convert("RGB")
        image.thumbnail((512, 512), Image.Resampling.LANCZOS)
        image = image.crop((0, 0, image.width // 8 * 8, image.height // 8 * 8))
        size = image.width // 2, image.height // 2
        small = Photo(image.resize(size, Image.Resampling.BICUBIC))
        truth = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        row = []
        for name in ("x2", "vivid-x2"):
            made = np.array(pictures.restore(small, create(name, "cpu"), {}).pixels)
            pixels = torch.from_numpy(made).permute(2, 0, 1)[None].float() / 255
            decibels = -10 * torch.log10((pixels - truth).square().mean()).item()
            row += [unlike(pixels, truth).item(), decibels]
        rows.append(row)
    looks, decibels, lively_looks, lively_decibels = np.mean(rows, 0)
    assert lively_looks < looks
    assert decibels - 1.5 < lively_decibels < decibels


def test_faithful_is_a_mixture(small: Path) -> None:
    photo = image_io.load(small)

    def at(share: float | None) -> tuple[str, npt.NDArray[Any]]:
        wanted = restoration.read({"upscale": 2, "faithful": share})
        (step,) = restoration.last_steps(photo, wanted, restoration.Restorers("cpu"))
        made = pictures.restore(photo, create(step.name, "cpu"), dict(step.params))
        return str(step), np.asarray(made.pixels).astype(float)

    assert at(None)[0] == "upscale by x2 size=2"
    assert at(1)[0] == "upscale by x2 size=2"
    assert at(0.25)[0] == "upscale by vivid-x2 faithful=0.25 size=2"
    large = restoration.read({"upscale": 4, "faithful": 0})
    (step,) = restoration.last_steps(photo, large, restoration.Restorers("cpu"))
    assert step.name == "vivid-x2"
    made = pictures.restore(photo, create(step.name, "cpu"), dict(step.params))
    assert made.size == (4 * photo.size[0], 4 * photo.size[1])
    true, between, lively = (at(share)[1] for share in (1, 0.5, 0))
    apart = np.abs(lively - true).mean()
    assert 0 < np.abs(between - true).mean() < apart
    assert 0 < np.abs(between - lively).mean() < apart


def test_what_comes_along_says_what_it_is() -> None:
    sizes = [(catalog.FOLDER / f"{name}.safetensors").stat().st_size for name in catalog.OWN]
    assert sum(sizes) < 6_000_000
    for name in catalog.OWN:
        restorer = create(name, "cpu")
        assert isinstance(restorer, Own)
        assert restorer.metadata["license"] == "MIT"
        assert "steps" in restorer.metadata
        if name.startswith("vivid"):
            # Else it could not be blended: it has to be made anew where that one was.
            faithful = create(name.removeprefix("vivid-"), "cpu")
            assert restorer.metadata["from"] == model_id(faithful)


_LARGE = """
import sys
from pathlib import Path
from PIL import Image
from nulie.image_io import Photo
from nulie.restore import create, pictures

photo = Photo(Image.effect_noise((6000, 4000), 60).convert("RGB"))
made = pictures.restore(photo, create(sys.argv[1], "cpu"), {"quality": 40.0})
assert made.size == (6000, 4000)
# Not by getrusage, which begins with what the process had that started this one.
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted otherwise")
def test_memory_for_24_megapixels(tmp_path: Path) -> None:
    """By a small network, for time's sake: it is the tiles of 512 that a large one fills."""
    path = tmp_path / "small.safetensors"
    net = Net(1, 8, 1, guided=True)
    path.write_bytes(to_bytes(net.state_dict(), JOBS["repair"]))
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 2.0e9
