"""The whole way from image to result, with a predictor that takes no time."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from nulie import transforms
from nulie.color import distance, lab
from nulie.engine import Enhancement, Finished, Result, Started
from nulie.engine.finalists import MIN_DISTANCE
from nulie.engine.objective import Objective
from nulie.errors import SettingsError
from nulie.predictor.base import Judge, Prediction
from nulie.recipe import Recipe, Step
from nulie.recipe.settings import Settings
from nulie.search import Improved, Progress
from nulie.transforms.preview import shrink

from .conftest import FakePredictor, picture


def enhance(image: Image.Image, predictor=None, cancel=None, **settings) -> tuple[list, Result]:
    settings = {"seconds": None, "evaluations": 300, **settings}
    run = Enhancement(image, predictor or FakePredictor(), Settings(**settings), cancel=cancel)
    events = list(run.events())
    assert isinstance(events[-1], Finished)
    return events, events[-1].result


def test_events_tell_the_story() -> None:
    events, result = enhance(picture())
    assert isinstance(events[0], Started)
    assert {type(e) for e in events[1:-1]} == {Progress, Improved}
    assert result.evaluations == 300
    assert result.reason == "evaluations"
    assert result.terms.total > result.base.total + 0.5


def test_the_image_is_the_recipe_at_full_size_and_scored_as_such() -> None:
    image, predictor = picture(300, 200), FakePredictor()
    before = image.tobytes()
    _, result = enhance(image, predictor)
    assert image.tobytes() == before
    assert result.image.tobytes() == transforms.render(result.recipe, image).tobytes()
    objective = Objective(predictor, shrink(image, 32), Settings())
    assert objective(shrink(result.image, 32)[None])[0] == result.terms
    assert objective.base == result.base


def test_same_seed_same_bytes() -> None:
    (_, a), (_, b) = (enhance(picture(), seed=3, evaluations=100) for _ in range(2))
    assert (a.recipe, a.image.tobytes()) == (b.recipe, b.image.tobytes())


def test_another_seed_goes_another_way() -> None:
    ways = [
        [e.recipe for e in enhance(picture(), seed=s, evaluations=60)[0] if isinstance(e, Improved)]
        for s in (3, 4)
    ]
    assert ways[0] != ways[1]


def test_nothing_better_leaves_the_image_alone() -> None:
    class Content(FakePredictor):
        def judge(self, photo: torch.Tensor) -> Judge:
            """Every change is for the worse."""
            return lambda batch: Prediction(-(batch != photo).float().flatten(1).mean(1))

    image = picture()
    _, result = enhance(image, Content())
    assert result.variants == ()
    assert result.recipe == Recipe()
    assert result.image.tobytes() == image.tobytes()
    assert result.terms == result.base


def test_a_preview_that_flatters_never_wins() -> None:
    """What looks better on the preview alone is scored again at full size, and refused."""

    class Fooled(FakePredictor):
        def exact(self):
            return FakePredictor(target=float(np.asarray(picture()).mean()))

    _, result = enhance(picture(), Fooled(target=230))
    assert result.terms.total >= result.base.total


def test_the_light_guard() -> None:
    image = picture()
    light = np.asarray(image).mean()
    dark = FakePredictor(target=60)
    _, free = enhance(image, dark, min_light=0.0, protect_skin=False)
    assert np.asarray(free.image).mean() < 0.7 * light
    _, guarded = enhance(image, dark, protect_skin=False)
    assert np.asarray(guarded.image).mean() >= 0.895 * light
    assert guarded.terms.light >= 0.9


def test_the_skin_guard() -> None:
    """A picture half of which is skin: it may get darker, but not there."""
    image = Image.new("RGB", (90, 60), (30, 60, 160))
    image.paste((205, 150, 125), (0, 0, 45, 60))
    dark = FakePredictor(target=60)
    ways = {"min_light": 0.0, "ops": ("brightness", "gamma")}
    _, free = enhance(image, dark, protect_skin=False, **ways)
    _, guarded = enhance(image, dark, **ways)
    lightness = [
        float(lab(torch.from_numpy(np.array(i)).permute(2, 0, 1)[None])[0, 0, :, :40].mean())
        for i in (image, free.image, guarded.image)
    ]
    assert lightness[1] < 0.8 * lightness[0]
    assert lightness[2] >= 0.95 * lightness[0]
    assert guarded.terms.skin is not None
    assert guarded.terms.skin >= 0.95


def test_the_content_guard_holds_back() -> None:
    _, free = enhance(picture(), FakePredictor(200))
    _, held = enhance(picture(), FakePredictor(200), keep_content=60.0)
    assert held.terms.content < 0.5 * max(free.terms.content, 0.05)


def test_variants_look_distinct_and_come_best_first() -> None:
    image = picture()
    _, result = enhance(image, top=4, evaluations=1500)
    assert len(result.variants) == 4
    totals = [v.terms.total for v in result.variants]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] > result.base.total
    looks = [lab(shrink(transforms.render(v.recipe, image), 32)[None]) for v in result.variants]
    for i, a in enumerate(looks):
        for b in looks[i + 1 :]:
            assert distance(a, b) >= MIN_DISTANCE


def test_recipes_are_short() -> None:
    lengths = [len(enhance(picture(seed=s), seed=s)[1].recipe) for s in range(5)]
    assert max(lengths) <= 4, "one dial is enough to please the fake predictor"


def test_cancel_keeps_the_best_so_far() -> None:
    cancel = threading.Event()
    run = Enhancement(picture(), FakePredictor(), Settings(seconds=600), cancel=cancel)
    result = None
    for event in run.events():
        if isinstance(event, Improved):
            cancel.set()
        if isinstance(event, Finished):
            result = event.result
    assert result is not None
    assert result.reason == "cancelled"
    assert result.terms.total > result.base.total


def test_bounded_ops_stay_bounded_in_the_result() -> None:
    _, result = enhance(
        picture(), FakePredictor(250), ops=("brightness",), ranges={"brightness": (1.0, 1.137)}
    )
    (step,) = result.recipe.steps
    assert 1.0 <= dict(step.params)["factor"] <= 1.137


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2000, 3)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    _, result = enhance(Image.new("RGB", size, (90, 80, 70)), evaluations=40)
    assert result.image.size == size


@pytest.mark.parametrize(
    "bad",
    [{"seconds": 0}, {"seconds": -1}, {"seconds": float("nan")}, {"seconds": None},
     {"evaluations": 0}, {"min_light": 2}, {"keep_content": -1}, {"top": 0}, {"mode": "mild"},
     {"ops": ("x",)}],
    ids=str,
)  # fmt: skip
def test_settings_without_a_meaning_are_refused(bad) -> None:
    with pytest.raises(SettingsError):
        Enhancement(picture(), FakePredictor(), Settings(**bad))


def test_a_recipe_in_words() -> None:
    recipe = Recipe(
        (
            Step.of("brightness", factor=1.2),
            Step.of("autocontrast", amount=0.4, cutoff=0.5),
            Step.of("posterize", bits=4.0),
        )
    )
    words = transforms.describe(recipe)
    assert words == "brightness 1.20, autocontrast 40% (cutoff 0.5%), posterize 4 bits"
    assert transforms.describe(Recipe()) == "unchanged"
    slight = Recipe((Step.of("saturation", factor=0.997), Step.of("gamma", gamma=1.001, gain=1.0)))
    assert transforms.describe(slight) == "saturation 0.997, gamma 1.001 (gain 1.00)"
