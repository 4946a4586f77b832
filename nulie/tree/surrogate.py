"""A cheap guess of a recipe's score from the scores of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..threads import one_core

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]


class Surrogate:
    """A Gaussian process (Rasmussen and Williams, 2006, section 2.2) on points, `[N, D]`.

    Linear plus squared exponential kernel, of the length that makes what is known the likeliest."""

    LENGTHS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
    NOISE = 0.01
    BOLDNESS = (0.5, 2.0)
    """Standard deviations that not knowing is worth, to the careful and to the bold."""
    FEWEST = 8
    FEW = 64
    """So many points, the first ones, decide on the length."""
    AT_ONCE = 256
    """Points guessed at together: many more leave a core's cache, and take twice as long each."""

    def fit(self, points: Array, scores: Array) -> bool:
        """Learns from `[N, D]` points and their `[N]` scores, higher is better, those that are
        infinite left out; False when there are too few."""
        finite = np.isfinite(scores)
        if finite.sum() < self.FEWEST:
            return False
        known, values = points[finite], scores[finite]
        # Zero is a poor score, so that what is far from all that is known promises little; and
        # far below it all scores are alike: what matters is to rank the good ones.
        scaled = (values - np.quantile(values, 0.1)) / (values.std() or 1.0)
        with one_core("openblas"):
            self._solve(known, np.maximum(scaled, -2.0))
        return True

    def _solve(self, known: Array, scaled: Array) -> None:
        squares = _squared_distances(known, known)
        noise = self.NOISE * np.eye(len(scaled))
        linear = known @ known.T + noise
        few = slice(self.FEW)

        def likelihood(length: float) -> float:
            near = _squared_exponential(squares[few, few], length)
            return _likelihood(near + linear[few, few], scaled[few])

        self._length = max(self.LENGTHS, key=likelihood)
        near = _squared_exponential(squares, self._length)
        self._weights = np.linalg.solve(near + linear, scaled)
        self._slope = known.T @ self._weights
        self._inverse32 = np.linalg.inv(np.linalg.cholesky(near + noise)).astype(np.float32)
        self._known32 = known.astype(np.float32)

    def hopes(self, points: Array) -> Array:
        """`[N, 2]`: for points `[N, D]` the upper confidence bounds by each boldness, in standard
        deviations of the scores learnt from. What is unknown is so by distance alone: were the
        linear part doubted as well, the bold would be sent to the ends of all dials."""
        starts = range(0, max(1, len(points)), self.AT_ONCE)
        # Where other programs keep the cores busy, the threads that share out matrices as small as
        # these wait for one another ten times as long as they compute.
        with one_core("openblas"):
            return np.concatenate([self._bounds(points[at : at + self.AT_ONCE]) for at in starts])

    def _bounds(self, points: Array) -> Array:
        mean = points @ self._slope
        # Half the digits, half the time, and there are many of these.
        squares = _squared_distances(points.astype(np.float32), self._known32)
        near = _squared_exponential(squares, self._length)
        mean += near @ self._weights
        doubt = np.sqrt(np.maximum(1 - ((near @ self._inverse32.T) ** 2).sum(1), 0))
        bounds: Array = mean[:, None] + doubt[:, None] * np.array(self.BOLDNESS)
        return bounds


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """Squared distances of `[A, D]` and `[B, D]`: `[A, B]`."""
    squares: Floats = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.maximum(squares, 0, out=squares)


def _squared_exponential(squares: Floats, length: float) -> Floats:
    near: Floats = np.exp(squares * (-0.5 / length**2))
    return near


def _likelihood(kernel: Floats, scores: Array) -> float:
    """Logarithm of how likely the scores are, but for a constant."""
    factor = np.linalg.cholesky(kernel)
    half = np.linalg.solve(factor, scores)
    return float(-0.5 * half @ half - np.log(np.diag(factor)).sum())
