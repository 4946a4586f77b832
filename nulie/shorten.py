"""Makes a recipe readable: drops, merges and rounds steps as long as its score holds."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .recipe import Recipe, Step
from .search import Evaluate
from .space import Move, Space
from .transforms import get, merged


def shorten(
    recipe: Recipe, score: float, evaluate: Evaluate, space: Space, *, loss: float, most: int
) -> tuple[Recipe, float]:
    """A recipe of no more steps whose score is at least `score - loss`, and its score.

    At most about `most` evaluations. A step is dropped before two are merged; values are rounded
    last. Steps merged stay inside the bounds that `space` sets for ops that may stand once."""
    floor = score - loss
    while most > 0:
        shorter = list(dict.fromkeys([*_dropped(recipe), *_merged(recipe, space)]))[:most]
        if not shorter:
            break
        most -= len(shorter)
        scores = evaluate(shorter)
        best = max(range(len(shorter)), key=scores.__getitem__)
        if scores[best] < floor:
            break
        recipe, score = shorter[best], scores[best]
    rounded = [r for r in _rounded(recipe, space) if r != recipe]
    if rounded:
        for candidate, value in zip(rounded, evaluate(rounded), strict=True):
            if value >= floor:
                return candidate, value
    return recipe, score


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
    """The recipe rounded to one digit, then to two."""
    moves = {move.op: move for move in space}
    for digits in (1, 2):
        yield Recipe(tuple(_rounded_step(step, moves[step.op], digits) for step in recipe.steps))


def _rounded_step(step: Step, move: Move, digits: int) -> Step:
    """Factors to `digits` decimals, other dials to a like share of their way."""
    values = dict(step.params)
    for bound, whole in zip(move.dials, get(step.op).dials, strict=True):
        way = 1.0 if bound.unit == "factor" else (bound.high - bound.low) or 1.0
        value = round(values[bound.name], digits - math.floor(math.log10(way)))
        dial = bound if move.once else whole  # merged steps may have left the mode's range
        values[bound.name] = min(dial.high, max(dial.low, value))
    return Step.of(step.op, **values)
