"""Restoration in a web UI: an operation of Extras, generated images."""

# ruff: noqa: F811  # fixtures are imported

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("gradio")

from nulie.errors import SettingsError
from nulie.jobs import restoration
from nulie.recipe import Recipe
from nulie.webui import controls, parts

from .conftest import picture
from .webui_standin import (  # noqa: F401
    PostprocessedImage,
    Processing,
    Web,
    extras,
    generated,
    values,
    web,
)


@pytest.fixture
def restoring(web: Web) -> Any:
    return web.load("nulie_extras").NulieRestore()


def noisy() -> Image.Image:
    smooth = np.asarray(picture(24, 18).resize((192, 144), Image.Resampling.BICUBIC)).astype(float)
    added = np.random.default_rng(0).normal(0, 15, smooth.shape)
    return Image.fromarray((smooth + added).clip(0, 255).astype(np.uint8))


def test_an_operation_of_extras(restoring: Any) -> None:
    assert list(restoring.ui()) == ["enabled", "restore"]
    pp = PostprocessedImage(noisy())
    restoring.process(pp, enabled=True, restore="repair, denoise, upscale=2")
    assert pp.image.size == (384, 288)
    recipe = Recipe.from_json(pp.info[controls.RECIPE])
    assert [step.op for step in recipe.entries] == ["denoise", "upscale"]
    assert controls.ERROR not in pp.info


def test_what_is_off_or_needs_nothing_stays(restoring: Any) -> None:
    image = picture(24, 18).resize((192, 144), Image.Resampling.BICUBIC)
    pp = PostprocessedImage(image)
    restoring.process(pp, enabled=False, restore="denoise=30")
    assert pp.image is image
    restoring.process(pp, enabled=True, restore="repair, denoise")
    assert pp.image.tobytes() == image.tobytes()


def test_a_word_that_means_nothing_is_told(restoring: Any) -> None:
    pp = PostprocessedImage(noisy())
    restoring.process(pp, enabled=True, restore="dehaze")
    assert "restore dehaze: known are repair, denoise, scan, upscale" in pp.info[controls.ERROR]


def test_generated_images_are_restored_and_searched(generated: Any) -> None:
    pp, p = SimpleNamespace(image=noisy()), Processing()
    given = values(
        generated, enabled=True, mode="hard", seconds=0.3, restore="denoise=15, upscale=2"
    )
    generated.process(p, *given)
    assert p.extra_generation_params["NUlIE restore"] == "denoise=15, upscale=2"
    generated.postprocess_image_after_composite(p, pp, *given)
    assert pp.image.size == (384, 288)
    recipe = Recipe.from_json(p.extra_generation_params[controls.RECIPE])
    assert [step.op for step in recipe.before] == ["denoise"]
    assert [step.op for step in recipe.after] == ["upscale"]
    # The recipe of its infotext makes it again, without a search.
    again = SimpleNamespace(image=noisy())
    given = values(generated, enabled=True, mode="recipe", recipe=recipe.to_json())
    generated.postprocess_image_after_composite(Processing(), again, *given)
    assert again.image.tobytes() == pp.image.tobytes()


def upscaler(folder: Path) -> Path:
    """A file as web UIs have them: an ESRGAN of random weights, four times as large."""
    pytest.importorskip("spandrel")
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    path = folder / "4x my own.pth"
    torch.save(RRDBNet(num_filters=8, num_blocks=1, scale=4).state_dict(), path)
    return path


@pytest.mark.parametrize("name", ["4x_my_own", "4x my own.pth"])
def test_upscalers_of_the_web_ui_by_name(
    name: str, restoring: Any, generated: Any, web: Web
) -> None:
    path = upscaler(web.folder / "models" / "ESRGAN")
    pp = PostprocessedImage(noisy())
    restoring.process(pp, enabled=True, restore=f"model={name}, upscale=3")
    assert controls.ERROR not in pp.info
    assert pp.image.size == (576, 432)
    recipe = Recipe.from_json(pp.info[controls.RECIPE])
    assert [step.name for step in recipe.before] == ["4x_my_own"]
    assert pp.info["NUlIE restore"] == f"upscale=3, model={name}, only"
    # Its recipe finds it again.
    again = SimpleNamespace(image=noisy())
    given = values(generated, enabled=True, mode="recipe", recipe=recipe.to_json())
    generated.postprocess_image_after_composite(Processing(), again, *given)
    assert again.image.tobytes() == pp.image.tobytes()
    assert path.name not in pp.info[controls.RECIPE]


def test_no_path_is_a_name(restoring: Any, web: Web) -> None:
    """A request may come from another machine."""
    path = upscaler(web.folder / "elsewhere")
    pp = PostprocessedImage(noisy())
    restoring.process(pp, enabled=True, restore=f"model={path}")
    assert "no restorer is called" in pp.info[controls.ERROR]


def test_what_is_painted_keeps_its_size_with_any_model(
    generated: Any, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler(web.folder / "models" / "upscale_models")
    monkeypatch.setattr(parts, "in_tiles", lambda p: True)
    image = noisy()
    pp, p = SimpleNamespace(image=image), Processing()
    given = values(generated, enabled=True, restore="model=4x_my_own, denoise=15, only")
    generated.postprocess_image_after_composite(p, pp, *given)
    assert controls.ERROR not in p.extra_generation_params
    assert pp.image.size == image.size
    assert pp.image.tobytes() != image.tobytes()


@pytest.mark.parametrize(
    "text",
    [
        *("repair", "denoise=12.5, upscale=4000x", "repair=40, scan, only", ""),
        "upscale=2, model=x4, faithful=0.25",
    ],
)
def test_the_text_is_what_it_means(text: str) -> None:
    given = restoration.of_text(text)
    search = given.pop("search", True)
    wanted = restoration.read(given)
    told = restoration.to_text(wanted, search=search)
    assert sorted(told.split(", ")) == sorted(text.split(", "))


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"repair must be within 1\.\.100"):
        restoration.read(restoration.of_text("repair=0"))


def test_what_is_painted_keeps_its_size_and_is_not_searched_unasked(
    generated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an enlargement was asked for, and there is none here."""
    monkeypatch.setattr(parts, "in_tiles", lambda p: True)
    image = noisy()
    pp, p = SimpleNamespace(image=image), Processing()
    given = values(generated, enabled=True, restore="upscale=2, only")
    generated.postprocess_image_after_composite(p, pp, *given)
    assert pp.image.tobytes() == image.tobytes()
    assert controls.ERROR not in p.extra_generation_params
