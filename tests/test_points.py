"""Recipes as points and back, and what a guide makes of them; on toy spaces, without images."""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nulie import transforms
from nulie.recipe import Recipe, Step
from nulie.recipe.space import Dial, Move
from nulie.tree.guide import Guide
from nulie.tree.points import REPEATS, Points

FACTOR = Dial("factor", 0.5, 2.0, 1.0)
SPACE = (
    Move("a", (FACTOR,)),
    Move("b", (Dial("amount", 0.0, 1.0, 0.0, "share", 0.001), Dial("cut", 0.0, 2.0, 0.0, "%"))),
    Move("c", (FACTOR, Dial("gain", 0.9, 1.1, 1.0))),
    Move("d", (FACTOR,), once=True),
)
A_UP, A_DOWN = Step.of("a", factor=2.0), Step.of("a", factor=0.5)


def way(**turns: float) -> list[float]:
    columns = ["a", "b", "b_cut", "c", "c_gain", "d"]
    return [turns.get(column, 0.0) for column in columns]


def test_the_input_is_the_origin_and_steps_add_up() -> None:
    points = Points(SPACE)
    half = Step.of("a", factor=2**0.5)
    found = points.of([Recipe(), Recipe((half, half)), Recipe((A_UP,)), Recipe((A_UP, A_DOWN))])
    assert found.tolist()[0] == way()
    np.testing.assert_allclose(found[1], found[2])
    np.testing.assert_allclose(found[2], way(a=0.5))
    np.testing.assert_allclose(found[3], way(), atol=1e-12)


def test_a_dial_beside_an_amount_counts_as_much_as_that() -> None:
    step = Step.of("b", amount=0.5, cut=1.0)
    assert Points(SPACE).of([Recipe((step,))]).tolist() == [way(b=0.5, b_cut=0.25)]


@pytest.mark.parametrize(
    ("steps", "turns", "expected"),
    [
        ((), {"a": 0.5}, (A_UP,)),
        ((), {"a": 1.0}, (A_UP, A_UP)),  # no step has room for all of it
        ((A_UP,), {"a": -0.5}, ()),  # back to where it does nothing
        ((A_UP,), {"a": -1.0}, (A_DOWN,)),
        ((A_UP, A_UP), {"a": -0.75}, (Step.of("a", factor=1.414),)),
        ((A_DOWN, A_UP), {"a": 0.5}, (A_UP,)),  # what goes back goes first
        ((), {"d": 5.0}, (Step.of("d", factor=2.0),)),  # once at most
        ((Step.of("d", factor=1.0),), {"d": 5.0}, (Step.of("d", factor=2.0),)),
        ((), {"b_cut": 0.5}, ()),  # does nothing without an amount
        ((), {"c_gain": 0.25}, (Step.of("c", factor=1.0, gain=1.051),)),
        ((A_UP, Step.of("d", factor=0.5)), {"c": 0.5}, None),
    ],
)
def test_ways_become_steps(
    steps: tuple[Step, ...], turns: dict[str, float], expected: tuple[Step, ...] | None
) -> None:
    found = Points(SPACE).turn(Recipe(steps), way(**turns), 10).steps
    assert found == (expected if expected is not None else (*steps, found[-1]))


def test_no_more_steps_than_allowed() -> None:
    recipe = Recipe((A_UP,) * 3)
    assert len(Points(SPACE).turn(recipe, way(a=2.0, b=1.0), 4)) == 4
    assert Points(SPACE).turn(recipe, way(b=1.0), 3) == recipe


@pytest.mark.parametrize("mode", transforms.MODES)
@settings(max_examples=60, deadline=None)
@given(turns=st.lists(st.floats(-1, 1), min_size=24, max_size=24), seed=st.integers(0, 999))
def test_a_way_that_there_is_room_for_is_gone(
    mode: Literal["soft", "hard"], turns: list[float], seed: int
) -> None:
    """Over all ops: the recipe that comes out can be applied, stays inside the dials' bounds, and
    lies where it should wherever no bound was met."""
    space, rng = transforms.space(mode), random.Random(seed)
    points = Points(space)
    start = points.turn(Recipe(), [rng.uniform(low, 1) / 2 for low in points.low], 20)
    ways = np.array(turns[: len(points.low)]) * 0.8
    found = points.turn(start, ways.tolist(), 60)
    transforms.check(found)
    dials = {move.op: move.dials for move in space}
    for step in found.steps:
        for dial in dials[step.op]:
            assert dial.low <= dict(step.params)[dial.name] <= dial.high
    first, last = points.of([start, found])
    columns = [(move, dial) for move in space for dial in move.dials]
    for column, (move, dial) in enumerate(columns):
        target = first[column] + ways[column]
        alone = len(move.dials) == 1 and dial.unit == "factor"
        if alone and points.low[column] <= target <= points.high[column]:
            assert last[column] == pytest.approx(target, abs=0.01 * REPEATS)


def test_a_guide_learns_where_the_good_ones_are() -> None:
    """Far fewer of its proposals than of random ones are bad."""
    rng = random.Random(0)
    points = Points(SPACE)

    def distance(recipe: Recipe) -> float:
        return float(np.abs(points.of([recipe])[0] - way(a=0.6, c=-0.3)).sum())

    known = [points.turn(Recipe(), [rng.gauss(0, 0.3) for _ in range(6)], 10) for _ in range(200)]
    known.sort(key=distance)
    guide = Guide(SPACE, 10)
    guide.learn([(recipe, 0.0) for recipe in known[:3]])
    assert not guide.ready
    guide.learn([(recipe, -distance(recipe)) for recipe in known])
    assert guide.ready
    assert [recipe for recipe, _ in guide.lesson] == known[: guide.MOST]

    def proposals() -> list[tuple[int, Recipe]]:
        wanted = guide.proposals(known[:50], 40, seed=1, elites=20, elite_children=10)
        return [next(ranked) for ranked in wanted]

    proposed = proposals()
    assert all(0 <= parent < 30 for parent, _ in proposed[:30])
    assert all(30 <= parent < 50 for parent, _ in proposed[30:])
    better = sum(distance(recipe) < distance(known[5]) for _, recipe in proposed)
    assert better >= 10
    assert len({recipe for _, recipe in proposed}) > 20, "they do not crowd"
    assert proposals() == proposed


def test_a_guide_goes_along_differences_and_gives_dials_up() -> None:
    """Of parents that turn `a` and `c` alike, all differences do."""
    guide, rng = Guide(SPACE, 10), np.random.default_rng(0)
    origins = np.array([way(a=t, c=t) for t in np.linspace(0.05, 0.4, 20)])
    rows = rng.integers(20, size=2000)
    ways = guide._ways(origins, rows, rng)
    a, c = ways[:, 0], ways[:, 3]
    assert ((a != 0) & np.isclose(a, c)).mean() == pytest.approx(0.4 * 19 / 20, abs=0.03)
    # Two of six dials are in use.
    up = np.isclose(a, -origins[rows, 0]) ^ np.isclose(c, -origins[rows, 3])
    assert up.mean() == pytest.approx(0.1 * 2 / 6, abs=0.01)
