"""Makes a recipe readable: drops, merges and rounds steps as long as its score holds."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from ..recipe import Recipe, Step
from ..recipe.space import Move, Space
from ..transforms import get, merged
from .evaluate import Evaluate

POLISHED, TURNS, ROUNDS = 3, 16, 4
"""So many of the best shorter recipes are tried with their dials turned, so many times each, where
none is good enough as it is; and what is best then is turned again."""


def shorten(
    recipe: Recipe, score: float, evaluate: Evaluate, space: Space, *, loss: float, most: int
) -> list[Recipe]:
    """Recipes of no more steps whose scores are at least `score - loss`: the shortest first,
    rounded if it may be, the given one last.

    At most about `most` evaluations. A step is dropped before two are merged. Steps merged stay
    inside the bounds that `space` sets for ops that may stand once."""
    floor = score - loss
    rng = random.Random(0)
    found = [recipe]
    while most > 0:
        shorter = list(dict.fromkeys([*_dropped(recipe), *_merged(recipe, space)]))[:most]
        if not shorter:
            break
        scores = list(evaluate(shorter))
        most -= len(shorter)
        if max(scores) < floor:
            # The steps that are left may be able to take over what the lost one did.
            for _ in range(ROUNDS):
                ranked = sorted(range(len(shorter)), key=lambda i: -scores[i])[:POLISHED]
                parents = [shorter[i] for i in ranked]
                turned = [r for parent in parents for r in _turned(parent, space, rng)]
                turned = turned[: max(0, most)]
                shorter, scores = [*parents, *turned], [scores[i] for i in ranked]
                scores += evaluate(turned) if turned else []
                most -= len(turned)
                if max(scores) >= floor:
                    break
        if not scores or max(scores) < floor:
            break
        best = max(range(len(shorter)), key=scores.__getitem__)
        recipe = shorter[best]
        found.insert(0, recipe)
    rounded = [r for r in _rounded(recipe, space) if r != recipe and r.steps]
    if rounded:
        for candidate, value in zip(rounded, evaluate(rounded), strict=True):
            if value >= floor:
                return [candidate, *found]
    return found


def _turned(recipe: Recipe, space: Space, rng: random.Random) -> Iterator[Recipe]:
    """The recipe with all its dials turned a little, in some random ways."""
    moves = {move.op: move for move in space}
    for i in range(TURNS):
        steps = []
        for step in recipe.steps:
            move, values = moves[step.op], dict(step.params)
            for bound, whole in zip(move.dials, get(step.op).dials, strict=True):
                dial = bound if move.once else whole  # merged steps may have left the mode's range
                # Of the mode's way, which is a small part of the dial's in soft mode.
                way = rng.gauss(0, 0.1 * 0.1 ** (i / TURNS)) * (bound.high - bound.low)
                values[dial.name] = dial.snap(values[dial.name] + way)
            steps.append(Step.of(step.op, **values))
        yield Recipe(tuple(steps))


def _dropped(recipe: Recipe) -> Iterator[Recipe]:
    for at in range(len(recipe)):
        yield Recipe(recipe.steps[:at] + recipe.steps[at + 1 :])


def _merged(recipe: Recipe, space: Space) -> Iterator[Recipe]:
    """Every two steps of one op as one, at the place of either."""
    once = {move.op for move in space if move.once}
    steps = recipe.steps
    for i in range(len(steps)):
        for j in range(i + 1, len(steps)):
            if steps[i].op != steps[j].op or steps[i].op in once:
                continue
            one = merged(steps[i], steps[j])
            if one is not None:
                yield Recipe((*steps[:i], one, *steps[i + 1 : j], *steps[j + 1 :]))
                yield Recipe((*steps[:i], *steps[i + 1 : j], one, *steps[j + 1 :]))


def _rounded(recipe: Recipe, space: Space) -> Iterator[Recipe]:
    """The recipe rounded to one digit, then to two, without the steps that then do nothing."""
    moves = {move.op: move for move in space}
    for digits in (1, 2):
        steps = (_rounded_step(step, moves[step.op], digits) for step in recipe.steps)
        yield Recipe(tuple(step for step in steps if moves[step.op].changes(step)))


def _rounded_step(step: Step, move: Move, digits: int) -> Step:
    """Factors to `digits` decimals, other dials to a like share of their way."""
    values = dict(step.params)
    for bound, whole in zip(move.dials, get(step.op).dials, strict=True):
        way = 1.0 if bound.unit == "factor" else (bound.high - bound.low) or 1.0
        value = round(values[bound.name], digits - math.floor(math.log10(way))) + 0.0  # no -0.0
        dial = bound if move.once else whole  # merged steps may have left the mode's range
        values[bound.name] = min(dial.high, max(dial.low, value))
    return Step.of(step.op, **values)
