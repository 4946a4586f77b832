"""The kinds of change, each on recipes of a toy space."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from nulie.recipe import Recipe, Step
from nulie.recipe.space import Dial, Move
from nulie.tree.changes import (
    KINDS,
    MAX_STEPS,
    Choices,
    cross,
    drop,
    extend,
    probes,
    refine,
    swap,
)

FACTOR = Dial("factor", 0.5, 2.0, 1.0)
SPACE = (
    Move("a", (FACTOR,)),
    Move("b", (Dial("x", 0.0, 1.0, 0.0, "share"), Dial("y", -1.0, 1.0, 0.0, "share"))),
    Move("once", (FACTOR,), once=True),
)
MOVES = {move.op: move for move in SPACE}


def step(op: str, at: float) -> Step:
    """With all dials at one position in [0, 1]."""
    return Step.of(op, **{dial.name: dial.from_unit(at) for dial in MOVES[op].dials})


def recipe(ops: str, at: float = 0.3) -> Recipe:
    """A step for each letter, `o` for the op that may stand once."""
    names = [{"o": "once"}.get(letter, letter) for letter in ops]
    return Recipe(tuple(step(op, at + 0.01 * i) for i, op in enumerate(names)))


def ops(recipe: Recipe) -> list[str]:
    return [step.op for step in recipe.steps]


def choices(seed: int = 0, *, others: Sequence[Recipe] = (), op: str | None = None) -> Choices:
    """Hands out `others` one after another, and always the same op, or the first one offered."""
    rest = iter(others)

    def pick_op(among: Sequence[str]) -> str:
        assert op is None or op in among
        return op or among[0]

    return Choices(MOVES, random.Random(seed), pick_op, lambda: next(rest))


@pytest.mark.parametrize("seed", range(40))
def test_extend_adds_one_step(seed: int) -> None:
    before = recipe("abo")
    after, op = extend(before, choices(seed, op="b"))
    assert op == "b"
    at = next(i for i in range(4) if after.steps[:i] + after.steps[i + 1 :] == before.steps)
    assert after.steps[at].op == "b"


def test_extend_adds_at_the_end_mostly_and_anywhere_at_times() -> None:
    before = recipe("bbb")
    places = Counter(
        ops(extend(before, choices(seed, op="a"))[0]).index("a") for seed in range(2000)
    )
    # Seven tenths, and a quarter of the rest.
    assert places[3] / 2000 == pytest.approx(0.7 + 0.3 / 4, abs=0.03)
    assert all(places[at] / 2000 == pytest.approx(0.3 / 4, abs=0.03) for at in range(3))


def test_extend_offers_no_op_that_may_not_stand_twice() -> None:
    offered: list[Sequence[str]] = []

    def pick(among: Sequence[str]) -> str:
        offered.append(among)
        return among[0]

    for before in (recipe("ab"), recipe("oab")):
        extend(before, Choices(MOVES, random.Random(0), pick, Recipe))
    assert offered == [["a", "b", "once"], ["a", "b"]]


@pytest.mark.parametrize("before", [recipe("ab" * 5), Recipe((step("once", 0.2),))])
def test_where_nothing_can_be_added_dials_are_turned(before: Recipe) -> None:
    only = {"once": MOVES["once"]} if len(before.steps) == 1 else MOVES
    after, op = extend(before, Choices(only, random.Random(0), lambda ops: ops[0], Recipe))
    assert ops(after) == ops(before)
    assert len(before.steps) in (1, MAX_STEPS)
    assert after != before
    assert op in ops(before)


def test_new_steps_are_near_to_doing_nothing_mostly() -> None:
    """Of the others every position is as likely."""
    turns = []
    for seed in range(3000):
        (new,) = extend(Recipe(), choices(seed, op="a"))[0].steps
        turns.append(abs(FACTOR.to_unit(new.params[0][1]) - 0.5))
    near = sum(turn < 0.1 for turn in turns) / len(turns)
    assert 0.57 < near < 0.63
    far = sum(turn > 0.4 for turn in turns) / len(turns)
    assert 0.068 < far < 0.085
    # At an end of its way a dial is turned inward, not held there.
    steps = [extend(Recipe(), choices(seed, op="b"))[0].steps[0] for seed in range(300)]
    assert sum(dict(s.params)["x"] == 0 for s in steps) < 10


@pytest.mark.parametrize("seed", range(40))
def test_refine_turns_dials_and_nothing_else(seed: int) -> None:
    before = recipe("abab")
    after, op = refine(before, choices(seed))
    assert ops(after) == ops(before)
    assert op in {b.op for a, b in zip(before.steps, after.steps, strict=True) if a != b}


def test_refine_turns_one_step_or_all_by_a_little_or_a_lot() -> None:
    before, counts, sizes = recipe("aaaa", 0.5), Counter(), []
    for seed in range(2000):
        after, _ = refine(before, choices(seed))
        pairs = list(zip(before.steps, after.steps, strict=True))
        counts[sum(a != b for a, b in pairs)] += 1
        sizes += [
            abs(FACTOR.to_unit(a.params[0][1]) - FACTOR.to_unit(b.params[0][1]))
            for a, b in pairs
            if a != b
        ]
    assert all(counts[n] > 250 for n in (1, 2, 3, 4))
    assert 0.02 < sorted(sizes)[len(sizes) // 2] < 0.08
    assert 0.02 < sum(size > 0.3 for size in sizes) / len(sizes) < 0.2


@pytest.mark.parametrize("seed", range(20))
def test_cross_goes_along_the_difference_of_two_others(seed: int) -> None:
    before, ahead, behind = (recipe("ab", at) for at in (0.4, 0.5, 0.3))
    after, op = cross(before, choices(seed, others=[ahead, behind]))
    assert ops(after) == ops(before)
    assert op in "ab"
    ways = set()
    for old, new in zip(before.steps, after.steps, strict=True):
        for dial in MOVES[old.op].dials:
            values = [dial.to_unit(dict(s.params)[dial.name]) for s in (old, new)]
            ways.add(round((values[1] - values[0]) / 0.2, 2))
    assert max(ways) - min(ways) < 0.02, "one scale for all"
    assert 0.29 < min(ways) <= max(ways) < 1.01


@pytest.mark.parametrize("seed", range(40))
def test_cross_joins_the_start_of_one_to_the_end_of_another(seed: int) -> None:
    first, second = recipe("aab", 0.2), recipe("bbba", 0.6)
    after, op = cross(first, choices(seed, others=[second, Recipe()]))
    if ops(after) == ops(first) and op not in ops(second)[-1:]:
        return  # nothing was left to join, so dials were turned
    cuts = [
        (i, j) for i in range(4) for j in range(5)
        if after.steps == first.steps[:i] + second.steps[j:]
    ]  # fmt: skip
    assert cuts or ops(after) == ops(first)
    assert op == after.steps[-1].op or not cuts


def test_cross_keeps_to_the_bounds_of_a_recipe() -> None:
    long, other = recipe("ab" * 5), recipe("ba" * 5)
    lengths = {len(cross(long, choices(s, others=[other, other]))[0].steps) for s in range(200)}
    assert max(lengths) == MAX_STEPS
    twice = [recipe("oa"), recipe("bo")]
    joined = [cross(twice[0], choices(s, others=[twice[1]] * 2))[0] for s in range(200)]
    assert max(ops(r).count("once") for r in joined) == 1


@pytest.mark.parametrize("seed", range(10))
def test_drop_takes_one_step_out(seed: int) -> None:
    before = recipe("abo")
    after, op = drop(before, choices(seed))
    assert len(after.steps) == 2
    (gone,) = set(before.steps) - set(after.steps)
    assert gone.op == op


@pytest.mark.parametrize("seed", range(10))
def test_swap_lets_two_steps_change_places(seed: int) -> None:
    before = recipe("abo")
    after, op = swap(before, choices(seed))
    assert set(after.steps) == set(before.steps)
    different = [a for a, b in zip(after.steps, before.steps, strict=True) if a != b]
    assert len(different) == 2
    assert op in {s.op for s in different}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [Recipe(), recipe("a")], ids=["empty", "one step"])
def test_every_kind_makes_something_of_the_shortest_recipes(kind: str, before: Recipe) -> None:
    for seed in range(20):
        after, op = KINDS[kind](before, choices(seed, others=[before, before]))
        assert 1 <= len(after.steps) <= 2
        assert op in ops(after)


def test_probes_turn_each_op_a_little_to_either_side() -> None:
    found = probes((MOVES["a"], MOVES["b"]))
    assert Counter(op for _, op in found) == {"a": 4, "b": 2}, "b cannot be turned down"
    ways = sorted(math.log(r.steps[0].params[0][1], 4) for r, op in found if op == "a")
    assert ways == pytest.approx([-0.12, -0.04, 0.04, 0.12], abs=0.001)
    narrow = probes((Move("a", (Dial("factor", 0.9, 1.2, 1.0),)),))
    ways = sorted(r.steps[0].params[0][1] for r, _ in narrow)
    assert all(b - a > 0.02 for a, b in pairwise(ways)), "a dial that does little is turned further"
