"""A cheap guess of a recipe's score from the scores of others, to screen proposals before one of
them is paid for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .recipe import Recipe
from .space import Dial, Space

Array = npt.NDArray[np.float64]


class Surrogate:
    """A Gaussian process on what a recipe does in all (Rasmussen and Williams, 2006, section 2.2).

    A recipe is seen as the sum of what its steps do to each dial, in units of the dial's way, so
    two half steps look like one whole and order does not matter: wrong in detail, right enough to
    tell a promising proposal from a hopeless one. Linear plus squared exponential kernel.
    """

    LENGTH = 0.6
    LINEAR = 1.0
    NOISE = 0.02
    FEWEST = 8

    def __init__(self, space: Space, *, most: int = 256) -> None:
        self._column: dict[tuple[str, str], tuple[int, Dial]] = {}
        for move in space:
            for dial in move.dials:
                self._column[move.op, dial.name] = (len(self._column), dial)
        self.most = most
        self._known: Array | None = None

    def fit(self, recipes: Sequence[Recipe], scores: Sequence[float]) -> bool:
        """Learns from up to `most` of them, the first ones; False when there are too few."""
        finite = [i for i, s in enumerate(scores) if np.isfinite(s)][: self.most]
        if len(finite) < self.FEWEST:
            return False
        known = self._features([recipes[i] for i in finite])
        values = np.array([scores[i] for i in finite])
        self._middle, self._spread = values.mean(), values.std() or 1.0
        # Far below the middle all scores are alike: what matters is to rank the good ones.
        scaled = np.maximum((values - self._middle) / self._spread, -2.0)
        kernel = self._kernel(known, known)
        kernel[np.diag_indices(len(kernel))] += self.NOISE
        self._inverse = np.linalg.inv(kernel)
        self._weights = self._inverse @ scaled
        self._known = known
        return True

    def hopes(self, recipes: Sequence[Recipe]) -> Array:
        """`[N]` upper confidence bounds, in standard deviations of the scores learnt from."""
        assert self._known is not None
        points = self._features(recipes)
        cross = self._kernel(points, self._known)
        own = self.LINEAR * (points**2).sum(1) + 1
        variance = own - ((cross @ self._inverse) * cross).sum(1)
        bound: Array = cross @ self._weights + 0.7 * np.sqrt(np.maximum(variance, 0))
        return bound

    def _features(self, recipes: Sequence[Recipe]) -> Array:
        found = np.zeros((len(recipes), len(self._column)))
        for row, recipe in enumerate(recipes):
            for step in recipe.steps:
                values = dict(step.params)
                amount = values.get("amount", 1.0)  # a dial beside an amount of zero does nothing
                for name, value in values.items():
                    column, dial = self._column[step.op, name]
                    turned = dial.to_unit(value) - dial.to_unit(dial.neutral)
                    found[row, column] += turned if name == "amount" else turned * amount
        return found

    def _kernel(self, a: Array, b: Array) -> Array:
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
        near: Array = np.exp(-np.maximum(squares, 0) / (2 * self.LENGTH**2))
        kernel: Array = near + self.LINEAR * a @ b.T
        return kernel
