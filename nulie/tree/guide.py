"""What to try next while evaluations are few: of many changes those a surrogate hopes for most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..recipe import Recipe, Space
from .node import Scored
from .points import Array, Points
from .surrogate import Surrogate

Rows = npt.NDArray[np.int64]


class Guide:
    """Learns from scored recipes and proposes others. Has no state but its last lesson."""

    MOST = 128
    """So many recipes are learnt from: more are no better, and dearer."""
    POOL = 96
    """Parents at once."""
    PROPOSALS = 16
    """Points looked at for each recipe wanted; with more the search crowds around one optimum."""
    KINDS = (0.3, 0.2, 0.4, 0.1)
    """Shares of the points that turn the dials in use, turn another one, go along the difference of
    two others (as differential evolution does; Storn and Price, 1997), or give a dial up."""

    def __init__(self, space: Space, most_steps: int) -> None:
        self._points = Points(space)
        self._surrogate = Surrogate()
        self._most_steps = most_steps
        self.lesson: list[Scored] = []
        self.ready = False
        """Whether that was enough to make proposals."""

    def learn(self, lesson: Sequence[Scored]) -> None:
        """Learns anew from the first `MOST` of some recipes and their scores, higher is better."""
        self.lesson = list(lesson[: self.MOST])
        points = self._points.of([recipe for recipe, _ in self.lesson])
        scores = np.array([score for _, score in self.lesson], float)
        self.ready = self._surrogate.fit(points, scores)

    def proposals(
        self, parents: Sequence[Recipe], n: int, seed: int, *, elites: int, elite_children: int
    ) -> list[Iterator[tuple[int, Recipe]]]:
        """For each of `n` recipes that are wanted a few to choose from, the most hopeful first,
        each with the index of its parent. The `n` look at different points, in turn with care and
        boldly: the last `elite_children` at children of the last `elites` parents, the others at
        those of the rest. The same for the same `seed`, 0 or more. Only when `ready`."""
        rng = np.random.default_rng(seed)
        origins = self._points.of(parents)
        rest = len(parents) - elites
        last = np.arange(n * self.PROPOSALS) % n >= n - elite_children
        rows = rng.integers(np.where(last, rest, 0), np.where(last, len(parents), rest))
        ways = self._ways(origins, rows, rng)
        hopes = self._surrogate.hopes(origins[rows] + ways)
        turns = (rng.integers(hopes.shape[1]) + np.arange(n)) % hopes.shape[1]
        # A column for each that is wanted.
        chosen = hopes.reshape(self.PROPOSALS, n, -1)[:, np.arange(n), turns]
        best = (-chosen).argsort(0, kind="stable")[:4] * n + np.arange(n)

        def recipes(chosen: Sequence[int]) -> Iterator[tuple[int, Recipe]]:
            for at in chosen:
                recipe, way = parents[rows[at]], ways[at].tolist()
                yield int(rows[at]), self._points.turn(recipe, way, self._most_steps)

        return [recipes(column.tolist()) for column in best.T]

    def _ways(self, origins: Array, rows: Rows, rng: np.random.Generator) -> Array:
        """`[M, D]`: how each of the points lies from its origin, which is that of its row."""
        points = origins[rows]
        count, dials = points.shape
        used = points != 0
        kinds = rng.choice(4, size=(count,), p=self.KINDS)
        kinds[~used.any(1)] = 1
        turning, another, along, giving = (np.flatnonzero(kinds == kind) for kind in range(4))
        size = 0.5 * 0.02 ** rng.random((count, 1))  # of a dial's whole way: to a hundredth
        one = rng.integers(dials, size=(count,))
        ways = np.zeros_like(points)
        some = rng.random((len(turning), dials)) < rng.random((len(turning), 1))
        turned = rng.standard_normal((len(turning), dials)) * size[turning]
        ways[turning] = turned * (used[turning] & some)
        ways[another, one[another]] = rng.standard_normal(len(another)) * size[another, 0]
        ahead, behind = rng.integers(len(origins), size=(2, len(along)))
        way = origins[ahead] - origins[behind]
        ways[along] = way * rng.uniform(0.3, 1.0, (len(along), 1))
        ways[giving, one[giving]] = -points[giving, one[giving]]
        low, high = np.minimum(self._points.low, points), np.maximum(self._points.high, points)
        inside: Array = np.clip(points + ways, low, high) - points
        return inside
