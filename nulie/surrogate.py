"""A cheap guess of a recipe's score from the scores of others, to screen proposals before one of
them is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .recipe import Recipe, Step
from .space import Dial, Space

Array = npt.NDArray[np.float64]


class Surrogate:
    """A Gaussian process on what a recipe does in all (Rasmussen and Williams, 2006, section 2.2).

    A recipe is seen as the sum of what its steps do to each dial, in units of the dial's way, so
    two half steps look like one whole and order does not matter: wrong in detail, right enough to
    tell a promising proposal from a hopeless one. Linear plus squared exponential kernel, of the
    length that makes what is known the likeliest.
    """

    LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6)
    NOISE = 0.01
    BOLDNESS = (0.5, 2.0)
    """Standard deviations that not knowing is worth, to the careful and to the bold."""
    FEWEST = 8

    def __init__(self, space: Space, *, most: int = 256) -> None:
        self._column: dict[tuple[str, str], tuple[int, Dial]] = {}
        for move in space:
            for dial in move.dials:
                self._column[move.op, dial.name] = (len(self._column), dial)
        self.most = most
        self._effects: dict[Step, list[tuple[int, float]]] = {}

    def fit(self, recipes: Sequence[Recipe], scores: Sequence[float]) -> bool:
        """Learns from up to `most` of them, the first ones; False when there are too few."""
        finite = [i for i, s in enumerate(scores) if np.isfinite(s)][: self.most]
        if len(finite) < self.FEWEST:
            return False
        self._known = self._features([recipes[i] for i in finite])
        values = np.array([scores[i] for i in finite])
        # Zero is a poor score, so that what is far from all that is known promises little; and
        # far below it all scores are alike: what matters is to rank the good ones.
        scaled = (values - np.quantile(values, 0.1)) / (values.std() or 1.0)
        scaled = np.maximum(scaled, -2.0)
        with _one_thread():
            self._solve(scaled)
        return True

    def _solve(self, scaled: Array) -> None:
        likeliest = -np.inf
        noise = self.NOISE * np.eye(len(scaled))
        for length in self.LENGTHS:
            near = _near(self._known, self._known, length) + noise
            factor = np.linalg.cholesky(near + self._known @ self._known.T)
            half = np.linalg.solve(factor, scaled)
            likelihood = -0.5 * half @ half - np.log(np.diag(factor)).sum()
            if likelihood > likeliest:
                likeliest, self._length = likelihood, length
                self._weights = np.linalg.solve(factor.T, half)
                known = near
        self._inverse = np.linalg.inv(np.linalg.cholesky(known))

    def hopes(self, recipes: Sequence[Recipe]) -> Array:
        """`[N, 2]` upper confidence bounds for each boldness, in standard deviations of the scores
        learnt from. What is unknown is so by distance alone: were the linear part doubted as well,
        the bold would be sent to the ends of all dials."""
        points = self._features(recipes)
        with _one_thread():
            near = _near(points, self._known, self._length)
            mean = (near + points @ self._known.T) @ self._weights
            variance = 1 - ((near @ self._inverse.T) ** 2).sum(1)
        doubt = np.sqrt(np.maximum(variance, 0))
        bounds: Array = mean[:, None] + doubt[:, None] * np.array(self.BOLDNESS)
        return bounds

    def _features(self, recipes: Sequence[Recipe]) -> Array:
        found = np.zeros((len(recipes), len(self._column)))
        for row, recipe in zip(found, recipes, strict=True):
            for step in recipe.steps:
                effect = self._effects.get(step)
                if effect is None:
                    effect = self._effects[step] = self._effect(step)
                for column, turned in effect:
                    row[column] += turned
        if len(self._effects) > 20_000:
            self._effects.clear()
        return found

    def _effect(self, step: Step) -> list[tuple[int, float]]:
        """How far a step turns each dial; a dial beside an amount of zero does nothing."""
        values = dict(step.params)
        amount = values.get("amount", 1.0)
        found = []
        for name, value in values.items():
            column, dial = self._column[step.op, name]
            turned = dial.to_unit(value) - dial.to_unit(dial.neutral)
            found.append((column, turned if name == "amount" else turned * amount))
        return found


@cache
def _openblas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:  # a web UI that was told to install nothing
        return None
    return ThreadpoolController().select(internal_api="openblas")


def _one_thread() -> AbstractContextManager[Any]:
    """Keeps numpy's OpenBLAS from sharing out matrices as small as these: where other programs keep
    the cores busy, its threads wait for one another ten times as long as they compute."""
    controller = _openblas()
    return nullcontext() if controller is None else controller.limit(limits=1)


def _near(a: Array, b: Array, length: float) -> Array:
    """The squared exponential of `[A, D]` and `[B, D]`: `[A, B]`."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    near: Array = np.exp(-np.maximum(squares, 0) / (2 * length**2))
    return near
