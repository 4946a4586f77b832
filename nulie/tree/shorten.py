"""Makes a recipe readable: drops, merges and rounds steps as long as its score holds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, compress

from ..recipe import Dial, Move, Recipe, Space, Step
from ..transforms import get
from .node import Evaluate, Scored

Moves = Mapping[str, Move]
Rank = Callable[[Iterable[Recipe]], list[Scored]]
Alike = Callable[[Sequence[Recipe]], Sequence[bool]]
"""Which of the recipes make what looks like the picture that they are to stand for."""

PARENTS, TURNS, ROUNDS = 3, 16, 4
"""So many of the best shorter recipes are tried with their dials turned, so many times each, where
none is good enough as it is; and what is best then is turned again, in so many rounds at most."""


def shorten(
    recipe: Recipe, score: float, evaluate: Evaluate, space: Space, *,
    loss: float, most: int, alike: Alike | None = None,
) -> list[Recipe]:  # fmt: skip
    """Recipes of no more steps whose scores are at least `score - loss`: the shortest first,
    rounded if it may be, the given one last. With `alike` those with a score below `score` must
    look like the given one, too. At most about `most` evaluations. A step is dropped before two are
    merged, inside the bounds that `space` sets for ops that may stand once."""
    floor, left = score - loss, most

    def fitting(results: Sequence[Scored]) -> list[Scored]:
        """Those that may stand for the given one, in their order."""
        high = [result for result in results if result[1] >= floor]
        if alike is None or not high:
            return high
        looks = alike([recipe for recipe, _ in high])
        return [r for r, same in zip(high, looks, strict=True) if same or r[1] >= score]

    def rank(recipes: Iterable[Recipe]) -> list[Scored]:
        """As many of the recipes as there are evaluations left, with their scores, best first."""
        nonlocal left
        some = list(recipes)[: max(0, left)]
        left -= len(some)
        return _rank(zip(some, evaluate(some) if some else [], strict=True))

    rng, moves = random.Random(0), {move.op: move for move in space}
    recipes = [recipe]
    while left > 0:
        shorter = rank(dict.fromkeys([*_drop_one(recipe), *_merge_two(recipe, moves)]))
        # The steps that are left may be able to take over what the lost one did.
        found = _polish(shorter, fitting, rank, moves, rng)
        if found is None:
            break
        recipe = found[0]
        recipes.insert(0, recipe)
    simple = [r for r in _round(recipe, moves) if r != recipe and r.steps]
    if simple:
        fine = fitting(list(zip(simple, evaluate(simple), strict=True)))
        if fine:
            return [fine[0][0], *recipes]
    return recipes


def _rank(results: Iterable[Scored]) -> list[Scored]:
    return sorted(results, key=lambda result: -result[1])


def _polish(
    ranked: list[Scored], fitting: Callable[[Sequence[Scored]], list[Scored]], rank: Rank,
    moves: Moves, rng: random.Random,
) -> Scored | None:  # fmt: skip
    """The best that fits, of these and of what comes of turning their dials until one does."""
    found = fitting(ranked)
    for _ in range(ROUNDS):
        if found or not ranked:
            break
        parents = ranked[:PARENTS]
        children = [child for recipe, _ in parents for child in _turn(recipe, moves, rng)]
        ranked = _rank([*parents, *rank(children)])
        found = fitting(ranked)
    return found[0] if found else None


def _turn(recipe: Recipe, moves: Moves, rng: random.Random) -> Iterator[Recipe]:
    """The recipe with all its dials turned at random, TURNS times, less and less."""
    for i in range(TURNS):
        steps = []
        for step in recipe.steps:
            values = dict(step.params)
            for bound, dial in _bounds(moves[step.op]):
                # Of the mode's way, which is a small part of the dial's in soft mode.
                way = rng.gauss(0, 0.1 * 0.1 ** (i / TURNS)) * (bound.high - bound.low)
                values[dial.name] = dial.snap(values[dial.name] + way)
            steps.append(Step.of(step.op, **values))
        yield Recipe(tuple(steps))


def _bounds(move: Move) -> Iterator[tuple[Dial, Dial]]:
    """Each dial with the mode's bounds, and with those that hold here, wider for merged steps."""
    whole = {dial.name: dial for dial in get(move.op).dials}
    for bound in move.dials:  # of an older space, which may have had fewer
        yield bound, bound if move.once else whole[bound.name]


def _drop_one(recipe: Recipe) -> Iterator[Recipe]:
    for at in range(len(recipe.steps)):
        yield Recipe(recipe.steps[:at] + recipe.steps[at + 1 :])


def _merge_two(recipe: Recipe, moves: Moves) -> Iterator[Recipe]:
    """Every two steps of one op as one, at the place of either."""
    steps = recipe.steps
    for i, j in combinations(range(len(steps)), 2):
        if steps[i].op == steps[j].op and not moves[steps[i].op].once:
            one = _merged(steps[i], steps[j], moves[steps[i].op])
            if one is not None:
                yield Recipe((*steps[:i], one, *steps[i + 1 : j], *steps[j + 1 :]))
                yield Recipe((*steps[:i], *steps[i + 1 : j], one, *steps[j + 1 :]))


def _merged(first: Step, second: Step, move: Move) -> Step | None:
    """About what two steps of one op do, or None where that leaves the op's range."""
    values, more = dict(first.params), dict(second.params)
    for _, dial in _bounds(move):
        one, other = values[dial.name], more[dial.name]
        both = one * other if dial.unit == "factor" else one + other - dial.neutral
        if not dial.low <= both <= dial.high:
            return None
        values[dial.name] = dial.snap(both)
    return Step.of(first.op, **values)


def _round(recipe: Recipe, moves: Moves) -> Iterator[Recipe]:
    """The recipe rounded to one digit, then to two, without the steps that then do nothing; then as
    it is without these, for where a dial must be just so another step may still be idle."""
    for digits in (1, 2):
        steps = [_round_step(step, moves[step.op], digits) for step in recipe.steps]
        at_work = [moves[step.op].changes(step) for step in steps]
        yield Recipe(tuple(compress(steps, at_work)))
    yield Recipe(tuple(compress(recipe.steps, at_work)))


def _round_step(step: Step, move: Move, digits: int) -> Step:
    """Factors to `digits` decimals, other dials to a like share of their way."""
    values = dict(step.params)
    for bound, dial in _bounds(move):
        way = 1.0 if bound.unit == "factor" else (bound.high - bound.low) or 1.0
        value = round(values[bound.name], digits - math.floor(math.log10(way))) + 0.0  # no -0.0
        values[dial.name] = min(dial.high, max(dial.low, value))
    return Step.of(step.op, **values)
