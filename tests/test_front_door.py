"""What `import nulie` offers, and the examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageCms

import nulie
from nulie.errors import ImageError, RecipeError, SettingsError
from nulie.predictor import Prediction
from nulie.predictor.loaded import PREDICTORS
from nulie.recipe import Recipe, Step

from .conftest import ROOT, FakePredictor, picture
from .test_layers import PACKAGE, name_of

BRIGHTER = Recipe((Step.of("brightness", factor=1.2),))
WITH_EXAMPLES = [f for f in PACKAGE.rglob("*.py") if ">>> " in f.read_text(encoding="utf-8")]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FEW: dict[str, Any] = {"evaluations": 60, "predictor": FakePredictor()}


def pixels(image: Image.Image) -> bytes:
    return image.convert("RGB").tobytes()


# The door itself.


def test_what_is_public() -> None:
    assert nulie.__all__ == ["__version__", "apply", "enhance", "score"]
    assert set(nulie.__all__) <= set(dir(nulie))
    for name in nulie.__all__:
        assert getattr(nulie, name)
    with pytest.raises(AttributeError, match="no attribute 'enhanse'"):
        nulie.enhanse  # noqa: B018


def test_every_public_function_opens_with_an_example() -> None:
    """Two lines and what they give, below the sentence that says what it does."""
    for function in (nulie.enhance, nulie.apply, nulie.score):
        lines = [line.strip() for line in (function.__doc__ or "").splitlines()]
        assert lines[0].endswith(".")
        assert lines[2].startswith(">>> ")


@pytest.mark.parametrize("file", [pytest.param(f, id=name_of(f)) for f in WITH_EXAMPLES])
def test_examples_come_out_as_printed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    failed, run = doctest.testmod(module, extraglobs={"nulie": nulie})
    assert run
    assert not failed


def test_what_programs_have_always_imported() -> None:
    """As the README of version 1.0.0 had it."""
    from nulie.engine import Enhancement, Finished
    from nulie.predictor import create
    from nulie.recipe import Recipe
    from nulie.settings import Settings

    predictor, _ = create("statistics")
    image = picture().convert("RGB")
    for event in Enhancement(image, predictor, Settings(seconds=5, evaluations=40)).events():
        if isinstance(event, Finished):
            assert event.result.image.size == image.size
            assert isinstance(event.result.recipe, Recipe)
            return
    pytest.fail("no Finished")


def test_python_m_nulie() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nulie", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"nulie {nulie.__version__}\n")


def test_the_library_is_silent_unless_asked(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import logging, nulie; logging.getLogger('nulie.anything').warning('psst')"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert capfd.readouterr() == ("", "")


# enhance


def test_enhance_finds_what_the_predictor_likes() -> None:
    image = picture()
    before = image.tobytes()
    result = nulie.enhance(image, **FEW, mode="hard", min_light=0, seed=2)
    assert result.terms.score > result.base.score
    assert pixels(result.image) == pixels(nulie.apply(result.recipe, image))
    assert Recipe.from_json(result.image.info["nulie"]) == result.recipe
    assert image.tobytes() == before


def test_enhance_keeps_what_is_no_business_of_its(tmp_path: Path) -> None:
    """Transparency, colour profile and texts, from memory as from a file."""
    alpha = Image.linear_gradient("L").resize((96, 64))
    image = picture()
    image.putalpha(alpha)
    image.info.update(icc_profile=SRGB, parameters="a cat")
    path = tmp_path / "photo.png"
    image.save(path, icc_profile=SRGB)
    for source in (image, path, str(path)):
        result = nulie.enhance(source, **FEW)
        assert result.variants
        assert result.image.mode == "RGBA"
        assert result.image.getchannel("A").tobytes() == alpha.tobytes()
        assert result.image.info["icc_profile"] == SRGB
    assert nulie.enhance(image, **FEW).image.info["parameters"] == "a cat"


def test_where_nothing_is_better_the_image_stays() -> None:
    """With the recipe of an earlier run, if there was one, for it still holds."""
    image = picture()
    image.info["nulie"] = BRIGHTER.to_json()
    result = nulie.enhance(image, predictor=Content(), evaluations=40)
    assert (result.variants, result.recipe) == ((), Recipe())
    assert result.image.tobytes() == image.tobytes()
    assert result.image is not image
    assert result.image.info["nulie"] == BRIGHTER.to_json()


class Content(FakePredictor):
    """Likes everything alike."""

    def judge(self, photo: torch.Tensor) -> Any:
        return lambda batch: Prediction(torch.zeros(len(batch)))


def test_evaluations_alone_have_no_limit_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    front_door = importlib.import_module("nulie.jobs.front_door")
    real = front_door.Enhancement

    def enhancement(image: Any, predictor: Any, settings: Any) -> Any:
        seen.append(settings.seconds)
        return real(image, predictor, settings)

    monkeypatch.setattr(front_door, "Enhancement", enhancement)
    nulie.enhance(picture(), **FEW)
    nulie.enhance(picture(), **FEW, seconds=60)
    assert seen == [None, 60]


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(TypeError, match="second"):
        nulie.enhance(picture(), **FEW, second=3)
    with pytest.raises(SettingsError, match="evaluations must be 1 or more"):
        nulie.enhance(picture(), predictor=FakePredictor(), evaluations=0)
    with pytest.raises(SettingsError, match="an object has its own"):
        nulie.enhance(picture(), **FEW, device="cpu")
    with pytest.raises(ImageError, match="no such file"):
        nulie.enhance("nowhere.png", **FEW)


def test_a_name_is_loaded_once_and_its_note_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[str, str]] = []

    def get(name: str, device: str) -> tuple[FakePredictor, str]:
        seen.append((name, device))
        return FakePredictor(), "judged by another one"

    monkeypatch.setattr(PREDICTORS, "get", get)
    with caplog.at_level(logging.WARNING, "nulie"):
        nulie.enhance(picture(), evaluations=10, device="cpu")
        nulie.score([picture()], predictor="mine")
    assert seen == [("auto", "cpu"), ("mine", "auto")]
    assert "judged by another one" in caplog.text


def test_like_another_picture_as_strong_as_asked_for(tmp_path: Path) -> None:
    image = picture()
    warm = picture(seed=3).point([min(255, level + 40) for level in range(256)] * 3)
    warm.save(tmp_path / "warm.png")
    few: dict[str, Any] = {"evaluations": 100, "mode": "hard"}
    by_path = nulie.enhance(image, like=tmp_path / "warm.png", **few)
    assert by_path.recipe == nulie.enhance(image, like=warm, **few).recipe
    assert by_path.terms.score > by_path.base.score
    assert by_path.terms.color is None, "guards are off"
    assert nulie.enhance(image, like=warm, min_color=0.5, **few).terms.color is not None
    half = nulie.enhance(image, like=warm, strength=0.5, **few)
    assert pixels(half.image) == pixels(nulie.apply(by_path.recipe, image, strength=0.5))
    assert Recipe.from_json(half.image.info["nulie"]) == half.recipe
    with pytest.raises(SettingsError, match="both say who judges"):
        nulie.enhance(image, like=warm, predictor="statistics")
    with pytest.raises(ImageError, match="no such file"):
        nulie.enhance(image, like="nowhere.png", **few)


# apply


def test_a_recipe_in_each_of_its_forms(tmp_path: Path) -> None:
    image = picture()
    wanted = pixels(nulie.apply(BRIGHTER, image))
    assert wanted != pixels(image)
    text = tmp_path / "look.json"
    text.write_text(BRIGHTER.to_json())
    photo, result = tmp_path / "photo.png", tmp_path / "photo_nulie.png"
    image.save(photo)
    command = [sys.executable, "-m", "nulie", str(photo), "--recipe", str(text), "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True)
    for recipe in (BRIGHTER.to_json(), text, str(text), result):
        assert pixels(nulie.apply(recipe, photo)) == wanted


def test_apply_keeps_what_is_no_business_of_its() -> None:
    image = picture().convert("L")
    image.putalpha(77)
    image.info["nulie"] = "an older recipe"
    done = nulie.apply(BRIGHTER, image)
    assert done.mode == "LA"
    assert done.getchannel("A").getextrema() == (77, 77)
    assert done.info["nulie"] == BRIGHTER.to_json()


@pytest.mark.parametrize(
    "recipe", ["nowhere.json", '{"steps": []}', str(ROOT / "examples/cat.png")]
)
def test_what_holds_no_recipe_is_refused(recipe: str) -> None:
    with pytest.raises(RecipeError):
        nulie.apply(recipe, picture())


# score


class Together(FakePredictor):
    """Takes different photos in one batch."""

    batch_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def predict(self, photos: Any) -> Prediction:
        self.batches.append(len(photos))
        return Prediction(torch.stack([self.judge(p)(p[None]).scores[0] for p in photos]))


def test_scores_come_in_order() -> None:
    images = [Image.new("RGB", (40, 40), (level,) * 3) for level in (150, 20, 100)]
    assert nulie.score(images, predictor=FakePredictor()) == [10, -3, 5]
    together = Together()
    assert nulie.score(iter(images), predictor=together) == [10, -3, 5]
    assert together.batches == [2, 1]
    assert nulie.score([], predictor=together) == []


def test_a_single_image_is_no_list() -> None:
    """Of a path each letter would be looked for."""
    for single in (picture(), "a.png", Path("a.png")):
        with pytest.raises(TypeError, match="into a list"):
            nulie.score(single, predictor=FakePredictor())  # type: ignore[arg-type]
