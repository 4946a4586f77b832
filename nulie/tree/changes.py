"""The kinds of change that make a recipe of a good one, and what has paid. None sees a score."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..recipe import Move, Recipe, Space, Step
from .state import number

MAX_STEPS = 10
"""Longer recipes gain nothing and cannot be read."""
NEAR_NEUTRAL = 0.9
"""Share of new steps that are not far from doing nothing."""
AT_END = 0.7
"""Share of new steps that come last, the others anywhere."""


class Child(NamedTuple):
    """A recipe made from another one, and the op that gets the credit for it."""

    recipe: Recipe
    op: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What a change is handed: moves by op, chance, and two choices that follow what has paid."""

    moves: Mapping[str, Move]
    rng: random.Random
    pick_op: Callable[[Sequence[str]], str]
    pick_recipe: Callable[[], Recipe]


Change = Callable[[Recipe, Choices], Child]


def extend(recipe: Recipe, choices: Choices) -> Child:
    rng, steps = choices.rng, recipe.steps
    present = {step.op for step in steps}
    ops = [op for op, move in choices.moves.items() if not (move.once and op in present)]
    if len(steps) >= MAX_STEPS or not ops:
        return refine(recipe, choices)
    op = choices.pick_op(ops)
    step = _random_step(choices.moves[op], rng)
    at = len(steps) if rng.random() < AT_END else rng.randint(0, len(steps))
    return Child(Recipe((*steps[:at], step, *steps[at:])), op)


def refine(recipe: Recipe, choices: Choices) -> Child:
    """Turns the dials of one step, and of some others."""
    if not recipe.steps:
        return extend(recipe, choices)
    rng, moves = choices.rng, choices.moves
    size = 0.5 * 0.02 ** rng.random()  # of a dial's whole way: from half to a hundredth
    some = rng.random()
    chosen = rng.randrange(len(recipe.steps))
    steps = tuple(
        _turn(step, moves[step.op], size, rng) if i == chosen or rng.random() < some else step
        for i, step in enumerate(recipe.steps)
    )
    return Child(Recipe(steps), recipe.steps[chosen].op)


def cross(recipe: Recipe, choices: Choices) -> Child:
    """Turns all dials along the difference of two good recipes of the same ops, as differential
    evolution does (Storn and Price, 1997); joins parts of two others."""
    rng, moves, steps = choices.rng, choices.moves, recipe.steps
    other, third = choices.pick_recipe().steps, choices.pick_recipe().steps
    ops = [step.op for step in steps]
    if ops and ops == [step.op for step in other] == [step.op for step in third]:
        scale = rng.uniform(0.3, 1.0)
        trios = zip(steps, other, third, strict=True)
        turned = tuple(_turn_along(moves[trio[0].op], *trio, scale) for trio in trios)
        return Child(Recipe(turned), rng.choice(ops))
    cut, rest = rng.randint(0, len(steps)), rng.randint(0, len(other))
    joined = (*steps[:cut], *other[rest:])[:MAX_STEPS]
    ops = [step.op for step in joined]
    if not joined or any(ops.count(op) > 1 for op in set(ops) if moves[op].once):
        return refine(recipe, choices)
    return Child(Recipe(joined), joined[-1].op)


def drop(recipe: Recipe, choices: Choices) -> Child:
    steps = recipe.steps
    if len(steps) < 2:
        return refine(recipe, choices)
    at = choices.rng.randrange(len(steps))
    return Child(Recipe(steps[:at] + steps[at + 1 :]), steps[at].op)


def swap(recipe: Recipe, choices: Choices) -> Child:
    if len(recipe.steps) < 2:
        return refine(recipe, choices)
    steps = list(recipe.steps)
    a, b = choices.rng.sample(range(len(steps)), 2)
    steps[a], steps[b] = steps[b], steps[a]
    return Child(Recipe(tuple(steps)), steps[a].op)


KINDS: Mapping[str, Change] = {f.__name__: f for f in (extend, refine, cross, drop, swap)}


def probes(space: Space) -> list[Child]:
    """Each op alone, a little and somewhat more to either side of where it does nothing: large
    shares of the way of a dial that does little, small ones where the ends are far out."""
    ops: dict[Recipe, str] = {}
    for move in space:
        lead = move.dials[0]
        sizes = (0.1, 0.25) if lead.low > 0 and lead.high < 2 * lead.low else (0.04, 0.12)
        for way in (sign * size for size in sizes for sign in (-1, 1)):
            ways = [(dial, way if dial is lead else 0.0) for dial in move.dials]
            values = {dial.name: dial.from_unit(_inside(dial.middle, w)) for dial, w in ways}
            ops[Recipe((Step.of(move.op, **values),))] = move.op
    return [Child(recipe, op) for recipe, op in ops.items()]


def _random_step(move: Move, rng: random.Random) -> Step:
    """Near where the dials do nothing, from half their way to a fiftieth; or anywhere."""
    near, size = rng.random() < NEAR_NEUTRAL, 0.5 * 0.04 ** rng.random()
    values = {}
    for dial in move.dials:
        at = _inside(dial.middle, rng.gauss(0, size)) if near else rng.random()
        values[dial.name] = dial.from_unit(at)
    return Step.of(move.op, **values)


def _inside(at: float, way: float) -> float:
    """`at + way`, or as far to the other side where that leaves [0, 1]."""
    return at + way if 0 <= at + way <= 1 else at - way


def _turn(step: Step, move: Move, size: float, rng: random.Random) -> Step:
    values = dict(step.params)
    for dial in move.dials:
        values[dial.name] = dial.from_unit(dial.to_unit(values[dial.name]) + rng.gauss(0, size))
    return Step.of(step.op, **values)


def _turn_along(move: Move, start: Step, ahead: Step, behind: Step, scale: float) -> Step:
    """The step with its dials turned by `scale` of the way from `behind` to `ahead`."""
    values, far, near = dict(start.params), dict(ahead.params), dict(behind.params)
    for dial in move.dials:
        way = dial.to_unit(far[dial.name]) - dial.to_unit(near[dial.name])
        values[dial.name] = dial.from_unit(dial.to_unit(values[dial.name]) + scale * way)
    return Step.of(start.op, **values)


class Credit:
    """How often each choice has paid lately; picks in proportion to it, and starves none."""

    FLOOR = 0.05
    """Weight of a choice that never pays; that of one which always pays is 1 more."""
    MEMORY = 0.995
    """Share of a choice's past that is left after each new try of it."""

    def __init__(self, names: Iterable[str]) -> None:
        self._paid = dict.fromkeys(names, 1.0)
        self._tried = dict.fromkeys(self._paid, 2.0)

    def record(self, name: str, paid: bool) -> None:
        self._paid[name] = self.MEMORY * self._paid[name] + paid
        self._tried[name] = self.MEMORY * self._tried[name] + 1

    def pick(self, rng: random.Random, among: Sequence[str] | None = None) -> str:
        names = list(self._paid if among is None else among)
        weights = [self.FLOOR + self._paid[name] / self._tried[name] for name in names]
        return rng.choices(names, weights)[0]

    def state(self) -> dict[str, dict[str, float]]:
        return {"paid": self._paid, "tried": self._tried}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state` of the same choices. Raises: KeyError, TypeError, ValueError."""
        paid, tried = ({n: number(state[key][n]) for n in self._paid} for key in ("paid", "tried"))
        if not all(0 <= paid[name] <= tried[name] and tried[name] > 0 for name in paid):
            raise ValueError("choices that paid more often than they were tried")
        self._paid, self._tried = paid, tried
