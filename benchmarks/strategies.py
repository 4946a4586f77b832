"""What nulie's tree is measured against, behind the same ask and tell."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Sequence

from nulie.recipe import Recipe, Step
from nulie.recipe.space import Dial, Move, Space
from nulie.search import Scored, Strategy, Tree

Proposals = Generator[list[Recipe], list[float], None]
"""Yields recipes and is sent their scores; a strategy written as a story."""


class Scripted:
    """A generator of proposals as a strategy. Batches are its own, whatever size is asked for."""

    def __init__(self, proposals: Callable[[float], Proposals]) -> None:
        self._make = proposals
        self._batch: list[Recipe] = []
        self._waiting: list[Recipe] = []
        self._scores: list[float] = []

    def ask(self, n: int) -> list[Recipe]:
        batch, self._waiting = self._waiting[:n], self._waiting[n:]
        return batch

    def tell(self, results: Sequence[Scored]) -> None:
        if not self._batch:
            self._proposals = self._make(results[0][1])
            self._batch = next(self._proposals)
            self._waiting = list(self._batch)
            return
        self._scores += [score for _, score in results]
        if len(self._scores) == len(self._batch):
            scores, self._scores = self._scores, []
            self._batch = self._proposals.send(scores)
            self._waiting = list(self._batch)


def random_step(space: Space, rng: random.Random) -> Step:
    move = rng.choice(space)
    return Step.of(move.op, **{d.name: d.from_unit(rng.random()) for d in move.dials})


def chains(space: Space, seed: int) -> Strategy:
    """Uniform random chains of one to six steps."""
    rng = random.Random(seed)

    def propose(_base: float) -> Proposals:
        while True:
            lengths = [rng.randint(1, 6) for _ in range(50)]
            yield [Recipe(tuple(random_step(space, rng) for _ in range(n))) for n in lengths]

    return Scripted(propose)


def greedy(space: Space, seed: int) -> Strategy:
    """Hill climbing: a random step on the best so far, kept when it helps."""
    rng = random.Random(seed)

    def propose(base: float) -> Proposals:
        best, top = Recipe(), base
        while True:
            recipe = best.then(random_step(space, rng))
            (score,) = yield [recipe]
            if score > top:
                best, top = recipe, score

    return Scripted(propose)


def original(space: Space, seed: int) -> Strategy:
    """The rule of the original NUlIE, with its constants.

    Ops that have no dial there (autocontrast, equalize, invert) are applied at full strength."""
    rng = random.Random(seed)
    grid = 20 if any(m.op == "invert" for m in space) else 10

    def step(move: Move, values: dict[str, float]) -> Step:
        full = {d.name: 0.0 if d.name == "cutoff" else 1.0 for d in move.dials}
        full |= {d.name: d.high for d in move.dials if d.name not in ("amount", "cutoff")}
        ones = {d.name: min(d.high, max(d.low, 1.0)) for d in move.dials if d.unit == "factor"}
        return Step.of(move.op, **{**full, **ones, **values})

    def dials_of(move: Move) -> list[Dial]:
        return [d for d in move.dials if d.name not in ("amount", "cutoff")]

    def sweep(move: Move) -> list[Step]:
        steps = []
        for dial in dials_of(move):
            ends = [dial.low + i / (grid - 1) * (dial.high - dial.low) for i in range(grid)]
            steps += [step(move, {dial.name: dial.snap(value)}) for value in ends]
        return steps or [step(move, {})]

    def propose(base: float) -> Proposals:
        nodes, scores, best = [Recipe()], [base], 0
        last, count, spent = 0, 0, 0  # the last improvement, tries, evaluations
        while True:
            count += 1
            sweeping = count < last + len(space)
            if spent < 300:
                parent = rng.randrange(len(nodes))
            elif rng.random() < 0.8 and not sweeping:
                parent = rng.randrange(len(nodes))
                if scores[parent] < max(scores[best] - 0.2, base - 0.1):
                    continue
            else:
                parent = best
            if sweeping:
                recipes = [nodes[parent].then(s) for s in sweep(space[count % len(space)])]
                results = yield recipes
                spent += len(recipes)
                at = max(range(len(recipes)), key=results.__getitem__)
                recipe, score = recipes[at], results[at]
            else:
                move = rng.choice(space)
                values = {
                    d.name: d.snap(d.low + rng.random() * (d.high - d.low)) for d in dials_of(move)
                }
                recipe = nodes[parent].then(step(move, values))
                (score,) = yield [recipe]
                spent += 1
            nodes.append(recipe)
            scores.append(score)
            if score > scores[best]:
                best, last = len(nodes) - 1, count

    return Scripted(propose)


def cma_es(space: Space, seed: int) -> Strategy:
    """CMA-ES (the `cmaes` package) on the dials of one fixed chain: every move once, in order."""
    import numpy as np
    from cmaes import CMA

    dials = [(move, dial) for move in space for dial in move.dials]
    start = np.array([d.to_unit(min(d.high, max(d.low, d.neutral))) for _, d in dials])
    bounds = np.tile([0.0, 1.0], (len(dials), 1))
    optimizer = CMA(mean=start, sigma=0.2, bounds=bounds, seed=seed)

    def recipe(x: Sequence[float]) -> Recipe:
        values: dict[str, dict[str, float]] = {move.op: {} for move in space}
        for (move, dial), at in zip(dials, x, strict=True):
            values[move.op][dial.name] = dial.from_unit(float(at))
        return Recipe(tuple(Step.of(move.op, **values[move.op]) for move in space))

    def propose(_base: float) -> Proposals:
        nonlocal optimizer
        while True:
            if optimizer.should_stop():  # start anew, with twice the population
                size = 2 * optimizer.population_size
                mean = np.random.default_rng(seed + size).random(len(dials))
                optimizer = CMA(
                    mean=mean, sigma=0.3, bounds=bounds, seed=seed + size, population_size=size
                )
            points = [optimizer.ask() for _ in range(optimizer.population_size)]
            scores = yield [recipe(x) for x in points]
            optimizer.tell([(x, -s if math.isfinite(s) else 1e9)
                            for x, s in zip(points, scores, strict=True)])  # fmt: skip

    return Scripted(propose)


STRATEGIES: dict[str, Callable[[Space, int], Strategy]] = {
    "random chains": chains,
    "hill climbing": greedy,
    "the original's rule": original,
    "CMA-ES": cma_es,
    "nulie's tree": Tree,
}
