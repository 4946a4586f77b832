"""Recipes turned down and up, over the whole table of ops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nulie.errors import RecipeError, SettingsError
from nulie.recipe import ModelStep, Recipe, Step
from nulie.recipe.space import Dial
from nulie.transforms import check, freeze, ops, render, resolve
from nulie.transforms.strength import MOST, scale

from .conftest import picture

STRENGTHS = st.floats(0, MOST)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    op = draw(st.sampled_from(list(ops().values())))
    dials = draw(st.lists(st.sampled_from(op.dials), unique_by=lambda d: d.name))
    return Step.of(op.id, **{d.name: d.snap(draw(st.floats(d.low, d.high))) for d in dials})


RECIPES = st.lists(steps(), max_size=4).map(lambda some: Recipe(tuple(some)))


def distance(dial: Dial, value: float) -> float:
    """From neutral, on the dial's scale, with its sign."""
    return dial.to_unit(value) - dial.to_unit(dial.neutral)


@given(RECIPES)
def test_one_is_the_recipe_itself_and_zero_leaves_nothing(recipe: Recipe) -> None:
    assert scale(recipe, 1) is recipe
    assert scale(recipe, 0) == Recipe()


@given(RECIPES, STRENGTHS)
def test_every_strength_gives_a_recipe_that_can_be_applied(recipe: Recipe, strength: float) -> None:
    scaled = check(scale(recipe, strength))
    names = iter([step.op for step in recipe.steps])
    assert all(step.op in names for step in scaled.steps), "in the order they were"
    assert Recipe.from_json(scaled.to_json()) == scaled


@given(steps(), STRENGTHS)
def test_each_dial_goes_so_far_along_its_scale(step: Step, strength: float) -> None:
    scaled = scale(Recipe((step,)), strength)
    op, before = resolve(step)
    after = resolve(scaled.steps[0])[1] if scaled.steps else {d.name: d.neutral for d in op.dials}
    if scaled.steps:
        assert [name for name, _ in scaled.steps[0].params] == [name for name, _ in step.params]
    for dial in op.dials:
        if dial.unit == "switch":
            assert after[dial.name] in (before[dial.name], dial.neutral)
        elif scaled.steps or "amount" not in after:
            ends = distance(dial, dial.low), distance(dial, dial.high)
            wanted = min(ends[1], max(ends[0], strength * distance(dial, before[dial.name])))
            # Off by what snapping costs on this scale, at its finest end.
            slack = abs(dial.to_unit(dial.low + dial.step) - dial.to_unit(dial.low))
            assert distance(dial, after[dial.name]) == pytest.approx(wanted, abs=slack)


@given(steps(), STRENGTHS, STRENGTHS)
def test_less_strength_is_nearer_to_neutral(step: Step, one: float, other: float) -> None:
    low, high = sorted((one, other))
    op = ops()[step.op]

    def values(strength: float) -> dict[str, float]:
        scaled = scale(Recipe((step,)), strength)
        left = scaled.steps[0] if scaled.steps else Step(step.op)
        return resolve(left)[1]

    weak, strong = values(low), values(high)
    for dial in op.dials:
        # The recipe itself need not lie on the dials' grid, or leave idle steps out.
        if high != 1 != low:
            here, there = distance(dial, weak[dial.name]), distance(dial, strong[dial.name])
            assert abs(here) <= abs(there) + 1e-9
            assert here * there >= 0


def test_steps_that_do_nothing_are_left_out() -> None:
    slight = Step.of("brightness", factor=1.001)
    none = Step.of("autocontrast", amount=0.01, cutoff=1.0, common=1.0)
    much = Step.of("contrast", factor=1.2)
    assert scale(Recipe((slight, none, much)), 0.4) == Recipe((Step.of("contrast", factor=1.08),))


def test_a_switch_says_in_what_way_and_stays() -> None:
    step = Step.of("autocontrast", amount=0.8, cutoff=1.0, common=1.0)
    half = Step.of("autocontrast", amount=0.4, cutoff=0.5, common=1.0)
    assert scale(Recipe((step,)), 0.5) == Recipe((half,))


def test_whole_numbers_stay_whole() -> None:
    assert scale(Recipe((Step.of("posterize", bits=5.0),)), 0.5).steps[0].params == (("bits", 6.0),)
    assert scale(Recipe((Step.of("solarize", threshold=99.0),)), 1.4) == Recipe(
        (Step.of("solarize", threshold=36.0),)
    )


def test_what_is_carried_stays_and_so_do_models() -> None:
    before = ModelStep.of("denoise", "net@" + 64 * "a", strength=0.5)
    after = ModelStep.of("upscale", "net@" + 64 * "b")
    frozen = freeze(Recipe((Step.of("contrast", factor=1.5),)), picture())
    recipe = Recipe(frozen.steps, (before,), (after,))
    weak = scale(recipe, 0.5)
    assert (weak.before, weak.after) == ((before,), (after,))
    assert weak.steps[0].frozen == recipe.steps[0].frozen
    assert weak.frozen
    assert scale(recipe, 0) == Recipe((), (before,), (after,))


def test_half_a_blend_lies_in_the_middle() -> None:
    """Ops that mix the picture with another one do so with half of it."""
    photo = picture()
    recipe = Recipe((Step.of("saturation", factor=1.4),))
    after, half = (np.asarray(render(r, photo), int) for r in (recipe, scale(recipe, 0.5)))
    inside = (after > 0) & (after < 255)  # clipping is not linear
    assert np.abs(half - (np.asarray(photo, int) + after) / 2)[inside].max() <= 1


@pytest.mark.parametrize("strength", [-0.1, 1.6, float("nan"), float("inf")])
def test_other_strengths_are_refused(strength: float) -> None:
    with pytest.raises(SettingsError, match="strength must be within"):
        scale(Recipe(), strength)


def test_a_step_that_cannot_be_applied_is_refused() -> None:
    with pytest.raises(RecipeError, match="unknown op"):
        scale(Recipe((Step.of("sparkle", amount=1.0),)), 0.5)
