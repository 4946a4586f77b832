"""One recipe for several pictures: how it is searched for, measured and judged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nulie import image_io
from nulie.engine import Enhancement, Finished
from nulie.engine.evaluate import renderer
from nulie.engine.objective import Objective
from nulie.engine.together import Together, sheet
from nulie.recipe import Recipe, Settings, Step
from nulie.transforms import freeze, ops, render
from nulie.transforms.preview import shrink, to_image

from .conftest import FakePredictor, picture
from .test_cli import EMBEDDED, Run, refused, run

__all__ = ["run"]  # a fixture

PICTURES = [picture(96, 64, seed) for seed in range(3)]


def stacked(images: list[Image.Image]) -> Image.Image:
    return Image.fromarray(np.concatenate([np.asarray(image) for image in images]))


@pytest.mark.parametrize("op", [op.id for op in ops().values() if op.measures])
def test_several_are_measured_as_one(op: str) -> None:
    dials = {d.name: (d.bounds("hard") or (d.low, d.high))[1] for d in ops()[op].dials}
    recipe = Recipe((Step.of("brightness", factor=1.2), Step.of(op, **dials)))
    together = freeze(recipe, *PICTURES)
    assert together.frozen
    if ops()[op].needs == "short side":
        assert dict(together.steps[1].frozen or ())["short_side"] == 64
    else:
        assert together == freeze(recipe, stacked(PICTURES))


@pytest.mark.parametrize("op", list(ops()))
def test_a_sheet_shows_what_the_frozen_recipe_makes_of_each(op: str) -> None:
    """Pictures as small as previews, so that nothing is estimated."""
    small = [to_image(shrink(image, 32)) for image in PICTURES]
    render_sheet = renderer(small[0], sheet(small, 32), *small[1:])
    dials = {d.name: (d.bounds("hard") or (d.low, d.high))[1] for d in ops()[op].dials}
    recipe = Recipe((Step.of("contrast", factor=1.3), Step.of(op, **dials)))
    seen = render_sheet([Recipe(), recipe])[1]
    frozen = freeze(recipe, *small)
    parts = seen.chunk(3, 1)
    for part, image in zip(parts, small, strict=True):
        true = torch.from_numpy(np.array(render(frozen, image))).permute(2, 0, 1)
        assert int((part.int() - true.int()).abs().max()) <= ops()[op].tolerance


def test_marks_are_means_and_no_guard_is_bought_off() -> None:
    predictor, settings = FakePredictor(), Settings(min_light=0.9, min_color=0, min_contrast=0)
    before = sheet(PICTURES, 32)
    together = Together(predictor, before, settings, PICTURES)
    each = [Objective(predictor, shrink(image, 32), settings) for image in PICTURES]
    assert together.base.score == pytest.approx(sum(o.base.score for o in each) / 3)
    brighter = (before.float() * 1.1).clamp(max=255).byte()
    [terms] = together(brighter[None])
    marks = [o(part[None])[0] for o, part in zip(each, brighter.chunk(3, 1), strict=True)]
    assert terms.total == pytest.approx(sum(t.total for t in marks) / 3)
    assert together.totals(brighter[None])[0] == terms.total
    # One of them becomes far too dark, the others gain.
    dark = brighter.clone()
    dark[:, :32] = before[:, :32] // 2
    [refused_] = together(dark[None])
    assert not refused_.admissible
    assert refused_.total < together.base.total


def test_a_search_for_several_gives_one_frozen_recipe() -> None:
    run = Enhancement(
        PICTURES[0], FakePredictor(), Settings(seconds=None, evaluations=300), others=PICTURES[1:]
    )
    *_, last = run.events()
    assert isinstance(last, Finished)
    result = last.result
    assert result.recipe.frozen
    assert result.terms.total > result.base.total
    assert result.image == render(result.recipe, PICTURES[0])
    # What was promised is what comes out.
    after = [render(result.recipe, image) for image in PICTURES]
    marks = Together(FakePredictor(), sheet(PICTURES, 32), Settings(), PICTURES)
    assert marks(sheet(after, 32)[None])[0].total == pytest.approx(result.terms.total)


def test_the_photos_of_a_series(tmp_path: Path, run: Run) -> None:
    for number, size in enumerate([(120, 80), (80, 120), (240, 160)]):
        picture(*size, number).save(tmp_path / f"{number}.png")
    (tmp_path / "x.jpg").write_bytes(b"no photo")
    done = run(tmp_path, "--same", "--evaluations", 60, *EMBEDDED, "--json", "--min-light", 0)
    assert done.code == 1
    assert "one recipe for all, found on 3 of 4: score" in done.err
    recipes = [
        json.loads(image_io.read_text(tmp_path / f"{number}_nulie.png")["nulie"])
        for number in range(3)
    ]
    assert recipes[0]["steps"]
    assert recipes[0] == recipes[1] == recipes[2]


def test_what_contradicts_it(tmp_path: Path, run: Run) -> None:
    picture().save(tmp_path / "a.png")
    (tmp_path / "look.json").write_text(Recipe().to_json())
    given = (tmp_path / "a.png", "--same")
    refused(run(*given, "--recipe", tmp_path / "look.json"), "--same", "leave --recipe out")
    refused(run(*given, "--top", 2), "--same", "leave --top out")
