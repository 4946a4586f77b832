"""Recipes made readable, on a toy score: no image is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from nulie import transforms
from nulie.recipe import Recipe, Step, version1
from nulie.tree.shorten import shorten

SPACE = transforms.space("soft")


def toy(recipes: Sequence[Recipe]) -> list[float]:
    """Wants brightness and contrast of 1.05 in all, and a little saturation."""
    scores = []
    for recipe in recipes:
        product = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0}
        for step in recipe.steps:
            product[step.op] = product.get(step.op, 1.0) * dict(step.params).get("factor", 1.0)
        gaps = [abs(math.log(product[op] / 1.05)) for op in ("brightness", "contrast")]
        scores.append(-10 * sum(gaps) - abs(math.log(product["saturation"] / 1.01)))
    return scores


def factor(op: str, value: float) -> Step:
    return Step.of(op, factor=value)


LONG = Recipe(
    (
        *(factor("brightness", 1.02), factor("contrast", 1.03), factor("brightness", 1.03)),
        *(factor("saturation", 1.01), factor("contrast", 1.02), factor("brightness", 1.001)),
    )
)


@pytest.mark.parametrize("most", [0, 8, 40, 300])
def test_shortest_first_all_good_enough_and_within_the_budget(most: int) -> None:
    (score,) = toy([LONG])
    spent = 0

    def counted(recipes: Sequence[Recipe]) -> list[float]:
        nonlocal spent
        spent += len(recipes)
        return toy(recipes)

    found = shorten(LONG, score, counted, SPACE, loss=0.05, most=most)
    assert found[-1] == LONG
    lengths = [len(recipe) for recipe in found]
    assert lengths == sorted(lengths)
    assert min(toy(found)) >= score - 0.05
    assert spent <= most + 2  # two ways to round
    if most == 300:
        assert lengths[0] == 2  # saturation is not worth what may be lost
        assert {step.op for step in found[0].steps} == {"brightness", "contrast"}


def test_a_lower_score_must_look_alike() -> None:
    (score,) = toy([LONG])

    def bright(recipes: Sequence[Recipe]) -> list[bool]:
        """Those that still have their contrast, by two steps."""
        return [sum(step.op == "contrast" for step in r.steps) == 2 for r in recipes]

    def found(alike: Callable[[Sequence[Recipe]], list[bool]]) -> list[Recipe]:
        return shorten(LONG, score, toy, SPACE, loss=0.05, most=300, alike=alike)

    def like_nothing(recipes: Sequence[Recipe]) -> list[bool]:
        return [False] * len(recipes)

    assert all(bright([r])[0] or toy([r])[0] >= score for r in found(bright))
    assert min(map(len, found(bright))) < len(LONG)
    assert min(toy(found(like_nothing))) >= score
    assert max(toy(found(like_nothing))) > score, "a higher one need not look alike"


def test_two_steps_of_one_op_become_one() -> None:
    """At once, where each of them is needed: there is no budget to turn what is left of them."""
    space, tried = version1.space("hard", None, {}), list[Recipe]()

    def exact(recipes: Sequence[Recipe]) -> list[float]:
        tried.extend(recipes)
        totals = [math.prod(dict(s.params)["factor"] for s in r.steps) for r in recipes]
        return [-abs(total - 1.56 * 1.1) for total in totals]

    long = Recipe((factor("brightness", 1.2), factor("contrast", 1.1), factor("brightness", 1.3)))
    shortest, *_ = shorten(long, exact([long])[0], exact, space, loss=1e-6, most=5)
    first = Recipe((factor("brightness", 1.56), factor("contrast", 1.1)))
    last = Recipe((factor("contrast", 1.1), factor("brightness", 1.56)))
    assert shortest == first
    assert last in tried, "at the place of either"


def test_steps_that_are_left_take_over_in_small_turns() -> None:
    """Dials are turned by shares of the mode's way: of soft mode's, a hundredth is a hundredth."""
    long = Recipe(tuple(factor("brightness", 1.02) for _ in range(2)))
    space = transforms.space("soft", ranges={"brightness": (0.9, 1.1)})  # so two cannot be merged

    def wanted(recipes: Sequence[Recipe]) -> list[float]:
        totals = [math.prod(dict(s.params)["factor"] for s in r.steps) for r in recipes]
        return [-abs(total - 1.04) for total in totals]

    found = shorten(long, wanted([long])[0], wanted, space, loss=0.003, most=300)
    assert len(found[0]) == 1
    assert wanted(found[:1])[0] > -0.004


def test_bounds_of_an_op_that_may_stand_once_hold() -> None:
    space, tried = transforms.space("soft", ranges={"brightness": (0.9, 1.1)}), list[float]()

    def brighter(recipes: Sequence[Recipe]) -> list[float]:
        tried.extend(dict(step.params)["factor"] for r in recipes for step in r.steps)
        return [math.prod(dict(s.params)["factor"] for s in r.steps) for r in recipes]

    long = Recipe((factor("brightness", 1.09), factor("brightness", 1.08)))
    shorten(long, brighter([long])[0], brighter, space, loss=0.01, most=300)
    assert max(tried) == 1.1


def test_steps_that_rounding_leaves_without_effect_go() -> None:
    space, slight = transforms.space("hard"), Step.of("hue", shift=-0.004)

    def indifferent(recipes: Sequence[Recipe]) -> list[float]:
        return [1.0] * len(recipes)

    recipe = Recipe((slight, factor("contrast", 1.31)))
    rounded, *_ = shorten(recipe, 1.0, indifferent, space, loss=0, most=0)
    assert rounded == Recipe((factor("contrast", 1.3),))
    # But one step at least stays.
    assert shorten(Recipe((slight,)), 1.0, indifferent, space, loss=0, most=0) == [
        Recipe((slight,))
    ]


def test_no_dial_stands_at_minus_zero() -> None:
    dials = [dial for move in transforms.space("hard") for dial in move.dials]
    assert all("-" not in str(dial.snap(-1e-9)) for dial in dials if dial.low <= 0)


def test_an_idle_step_goes_though_another_dial_must_be_just_so() -> None:
    """Rounded, the brightness costs too much; and there is no budget to drop the blur by."""
    exact = Recipe((factor("brightness", 1.1234567), Step.of("blur", radius=1e-7)))

    def narrow(recipes: Sequence[Recipe]) -> list[float]:
        values = [dict(r.steps[0].params)["factor"] for r in recipes]
        return [1 - 1000 * abs(value - 1.1234567) for value in values]

    found = shorten(exact, 1.0, narrow, SPACE, loss=0.05, most=0)
    assert found[0] == Recipe(exact.steps[:1])
