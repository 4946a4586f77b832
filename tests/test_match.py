"""Matching an edit: the recipe that turns one picture into another, and what no recipe does."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageFilter

from nulie.cli import main
from nulie.color import distance, lab
from nulie.engine.match import IDLE, MOST_STEPS, Match, match
from nulie.engine.remains import remains
from nulie.errors import ImageError, SettingsError
from nulie.jobs.match import Matching, data, words
from nulie.recipe import Recipe, Step
from nulie.transforms import render

from .conftest import picture


def lab_of(image: Image.Image) -> torch.Tensor:
    return lab(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])


def by(*steps: Step) -> Image.Image:
    return render(Recipe(steps), picture(192, 128))


def looked_at(after: Image.Image, evaluations: int = 6_000, **options: object) -> Match:
    return match(
        picture(192, 128),
        after,
        seconds=None,
        evaluations=evaluations,
        **options,  # type: ignore[arg-type]
    )


EDITS = [
    (Step.of("brightness", factor=0.7),),
    (Step.of("gamma", gamma=1.4), Step.of("saturation", factor=0.6)),
    (Step.of("white balance", temperature=0.5, tint=-0.1), Step.of("contrast", factor=1.3)),
    (Step.of("saturation", factor=1.4), Step.of("blur", radius=0.006)),
    (Step.of("posterize", bits=3.0), Step.of("brightness", factor=1.2)),
]


@pytest.mark.parametrize("steps", EDITS)
def test_own_edits_are_found(steps: tuple[Step, ...]) -> None:
    after = by(*steps)
    found = looked_at(after)
    assert found.before > 3
    assert found.left < 1
    assert found.share == pytest.approx(found.left / found.before)
    assert len(found.recipe) <= MOST_STEPS
    assert found.image == render(found.recipe, picture(192, 128))
    assert found.remains.words == ()


def test_a_step_more_is_worth_it() -> None:
    found = looked_at(by(*EDITS[1]))
    for place in range(len(found.recipe)):
        steps = found.recipe.steps
        less = render(Recipe(steps[:place] + steps[place + 1 :]), picture(192, 128))
        assert distance(lab_of(less), lab_of(by(*EDITS[1]))).item() > found.left + IDLE


def test_the_same_picture_needs_no_recipe() -> None:
    found = looked_at(picture(192, 128))
    assert found.recipe == Recipe()
    assert (found.before, found.left, found.share) == (0, 0, 0)
    assert found.reason == "exhausted"


def test_the_same_seed_gives_the_same_recipe() -> None:
    after = by(*EDITS[2])
    one, other = (looked_at(after, 1_500, seed=3) for _ in range(2))
    assert one.recipe == other.recipe


def test_the_budget_is_kept_about() -> None:
    after = picture(192, 128, seed=1)
    found = looked_at(after, 2_000)
    assert found.reason == "evaluations"
    assert found.evaluations < 3_000
    ticks = iter(range(10_000))
    found = match(picture(192, 128), after, seconds=20, clock=lambda: float(next(ticks)))
    assert found.reason == "time"


def test_cancel_keeps_the_best_so_far() -> None:
    cancel = threading.Event()
    seen = []

    def show(share: float, left: float) -> None:
        seen.append((share, left))
        if len(seen) == 2:
            cancel.set()

    after = picture(192, 128, seed=1)
    found = looked_at(after, 1_000_000, cancel=cancel, show=show)
    assert found.reason == "cancelled"
    assert found.left <= found.before
    assert all(0 <= share <= 1 for share, _ in seen)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (40, 30)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    before = picture(192, 128).resize(size)
    after = render(Recipe((Step.of("brightness", factor=0.8),)), before)
    found = match(before, after, seconds=None, evaluations=300)
    assert found.image.size == size
    assert found.left <= found.before


def test_a_smaller_export_tells_nothing_of_detail() -> None:
    after = by(*EDITS[0]).resize((120, 80), Image.Resampling.BICUBIC)
    found = looked_at(after)
    assert found.left < 2
    assert not {"blur", "sharpness"} & {step.op for step in found.recipe.steps}


@pytest.mark.parametrize("budget", [{"seconds": 0.0}, {"seconds": None}])
def test_a_budget_without_a_meaning(budget: dict[str, float | None]) -> None:
    with pytest.raises(SettingsError):
        match(picture(), picture(), **budget)  # type: ignore[arg-type]


# What is left.


def edited(change: npt.NDArray[Any]) -> Image.Image:
    levels = np.array(smooth(), float) * change
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def smooth() -> Image.Image:
    """A picture of middling levels, each color of which is found all over it."""
    y, x = np.mgrid[0:200, 0:300]
    waves = [120 + 40 * np.sin((x + phase) / 9) * np.cos(y / 7) for phase in (0, 3, 6)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8))


def test_a_vignette_is_named() -> None:
    y, x = np.mgrid[-1:1:200j, -1:1:300j]
    rest = remains(smooth(), smooth(), edited(1 - 0.2 * (x**2 + y**2)[..., None]))
    assert rest.radial + rest.color > 0.6
    assert rest.radial > 5 * rest.local
    assert any("vignette" in text for text in rest.words)


def test_a_local_edit_is_named() -> None:
    mask = np.ones((200, 300, 1))
    mask[:, 200:] = 1.3
    rest = remains(smooth(), smooth(), edited(mask))
    assert rest.local > max(rest.radial, rest.fine)
    assert any("local edits" in text for text in rest.words)


def test_changes_of_a_color_are_named() -> None:
    levels = np.array(smooth())
    levels[levels[..., 0] > 130] = (150, 60, 60)
    rest = remains(smooth(), smooth(), Image.fromarray(levels))
    assert rest.color > 0.5
    assert any("color alone" in text for text in rest.words)


def test_fine_changes_are_named() -> None:
    noise = np.random.default_rng(0).normal(1, 0.1, (200, 300, 3))
    rest = remains(smooth(), smooth(), edited(noise))
    assert rest.fine > 0.7
    assert any("pixel to pixel" in text for text in rest.words)


def test_another_place_is_named() -> None:
    shifted = picture(300, 200).rotate(5)
    assert any(
        "do not lie" in text
        for text in remains(picture(300, 200), picture(300, 200), shifted).words
    )
    assert remains(picture(300, 200), picture(300, 200), picture(300, 200)).words == ()


def test_a_tone_is_named() -> None:
    grey = np.array(smooth().convert("L"), float)[..., None]
    sepia = Image.fromarray((grey * [1.0, 0.85, 0.6]).astype(np.uint8))
    rest = remains(smooth(), smooth(), sepia)
    assert rest.toned
    assert any("black and white" in text for text in rest.words)
    assert not remains(sepia, sepia, sepia).toned
    assert not remains(smooth(), smooth(), smooth().filter(ImageFilter.BLUR)).toned


def test_parts_add_up_to_about_all() -> None:
    rest = remains(smooth(), smooth(), edited(np.linspace(0.7, 1.2, 300)[None, :, None]))
    assert 0.8 < rest.color + rest.radial + rest.local + rest.fine < 1.5


# Files and the command line.


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    picture(192, 128).save(tmp_path / "before.png")
    by(*EDITS[0]).save(tmp_path / "after.png")
    return str(tmp_path / "before.png"), str(tmp_path / "after.png")


def test_the_command_says_what_was_done(
    pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "look.json"
    budget = ["--evaluations", "2000", "--save-recipe", str(recipe)]
    assert main(["match", *pair, *budget]) == 0
    out = capsys.readouterr().out
    assert out.startswith("brightness 0.70\n")
    assert "left" in out
    assert str(recipe) in out
    assert Recipe.from_json(recipe.read_text()).steps[0].op == "brightness"
    assert main(["match", *pair, *budget]) == 2, "the recipe is there already"
    assert main(["match", *pair, *budget, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    result = tmp_path / "mended.png"
    assert main([pair[0], "--recipe", str(recipe), "-o", str(result), "--quiet"]) == 0
    close = distance(lab_of(Image.open(result)), lab_of(Image.open(pair[1])))
    assert close.item() < 0.5


def test_json_of_a_match(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["match", *pair, "--evaluations", "2000", "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["before"], told["after"]) == pair
    assert Recipe.from_json(json.dumps(told["recipe"])).steps[0].op == "brightness"
    assert told["distance_left"] < 0.5 < 3 < told["distance_before"]
    assert set(told["remains"]) == {"color", "radial", "local", "fine", "alike"}


def test_other_shapes_are_refused(
    pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    square = tmp_path / "square.png"
    picture(100, 100).save(square)
    assert main(["match", pair[0], str(square)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "before.png (192 x 128)" in line
    assert "square.png (100 x 100)" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name two pictures"),
        (["a.png"], "name two pictures"),
        (["a.png", "b.png", "--seconds", "0"], "seconds"),
        (["a.png", "b.png", "--save-recipe", "x.png"], "JSON"),
        (["a.png", "b.png"], "a.png"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["match", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


def test_words_and_data_agree(pair: tuple[str, str]) -> None:
    picture(192, 128, seed=5).save(pair[1])
    matching = Matching(Path(pair[0]), Path(pair[1]), None, 1_000)
    found = matching.run(lambda share, left: None, threading.Event())
    lines = words(found)
    assert lines[0] == data(matching, found)["words"]
    assert [line.strip() for line in lines[3:]] == data(matching, found)["remains_words"]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        Matching(tmp_path / "a", tmp_path / "b").run(lambda *_: None, threading.Event())
