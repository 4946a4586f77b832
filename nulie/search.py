"""The search: a tree that is asked for recipes and told their scores, and `run`, which owns the
clock, the budget and the cancel flag, and turns what happens into events. Knows no image."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .recipe import Recipe
from .tree import Evaluate, Node, Scored, Tree

__all__ = ["Evaluate", "Improved", "Node", "Progress", "Scored", "Strategy", "Tree", "run"]

Reason = Literal["time", "evaluations", "cancelled", "exhausted", "saturated"]

LEAST_WAIT = 500
"""Evaluations without a rise of the best score, at least, before a search counts as saturated."""


class Strategy(Protocol):
    """A way to search. It never evaluates anything itself and has no clock."""

    def ask(self, n: int) -> list[Recipe]:
        """Up to `n` recipes to score, fewer when few are left to try, none when exhausted."""

    def tell(self, results: Sequence[Scored]) -> None:
        """The scores of recipes that were asked for, and of the empty recipe at the start.
        Raises: ValueError on NaN."""


@dataclass(frozen=True)
class Progress:
    """One batch is done. `seconds` since the start of the run."""

    evaluations: int
    seconds: float
    best_score: float


@dataclass(frozen=True)
class Improved:
    """A recipe scored above everything before it."""

    recipe: Recipe
    score: float
    evaluations: int
    seconds: float


class _Hope:
    """Whether there is something left to gain: there is, until the last rise of the best score is
    longer ago than it took to come there, `patience` times, and than LEAST_WAIT. A rise is one by
    `rise` points, at once or little by little."""

    def __init__(self, best: float, *, patience: float, rise: float) -> None:
        """Counts from here; without `patience` it never ends."""
        self._best, self._patience, self._rise = best, patience, rise
        self._risen = self._tried = 0

    def record(self, count: int, best: float) -> None:
        self._tried += count
        if best > self._best and best - self._best >= self._rise:
            self._best, self._risen = best, self._tried

    def is_lost(self) -> bool:
        waited = self._tried - self._risen
        return self._patience > 0 and waited >= max(LEAST_WAIT, self._patience * self._risen)


class _Pace:
    """How many recipes at once: half of the usual number, and twice as many again and again, up to
    twice the usual number, as long as that makes one of them cheaper. The search's own batches are
    measured, and the quickest of some counts, for a machine may be busy with other things."""

    TRIALS = 3
    GAIN = 0.95
    """Share of the cost before, that doubling must not exceed."""

    def __init__(self, usual: int, *, measured: bool) -> None:
        """Without `measured` it is always the usual number."""
        self._most = 2 * usual
        self._settled = not measured
        self.size = max(1, usual // 2) if measured else usual
        self._smaller, self._before = self.size, math.inf
        self._costs: list[float] = []
        self.each = 0.0
        """Seconds a recipe took last, or half of that before, if more; 0 before the first batch."""

    def record(self, count: int, seconds: float) -> None:
        self.each = max(seconds / count, 0.5 * self.each)
        if self._settled or count != self.size:
            return
        self._costs.append(seconds / count)
        if len(self._costs) < self.TRIALS:
            return
        cost = min(self._costs)
        if cost > self.GAIN * self._before:
            self.size, self._settled = self._smaller, True
        elif self.size == self._most:
            self._settled = True
        else:
            self._smaller, self._before, self._costs = self.size, cost, []
            self.size = min(2 * self.size, self._most)


def run(
    strategy: Strategy, evaluate: Evaluate, *, base_score: float,
    seconds: float | None = None, evaluations: int | None = None, batch: int = 32, ahead: int = 0,
    done: int = 0, spent: float = 0.0, best_score: float | None = None,
    patience: float = 0.0, rise: float = 0.0,
    cancel: threading.Event | None = None, clock: Callable[[], float] = time.monotonic,
) -> Generator[Progress | Improved, None, Reason]:  # fmt: skip
    """Drives a strategy until the budget is spent and returns why it ended.

    `ahead` batches are begun before the scores of the one before are looked at: a device that
    computes by itself is then busy while the next batch is made. `done`, `spent` (seconds) and
    `best_score` go on from a run that had come so far with this strategy; the budget counts what
    that has used. With `patience` it ends as saturated where the best score has not risen by `rise`
    for longer than that many times what it took to come there, and than LEAST_WAIT; what came
    before this call does not count.

    Batches grow from 1 to `batch`, so that the tree learns early, and no batch is planned to last
    longer than a tenth of `seconds`. Where only time ends the run, the size that serves this
    machine best is found on the way, between half and twice of `batch`. With `evaluations`, and
    batches that last less than that tenth, sizes depend on nothing but the count of evaluations, so
    the same seed gives the same run."""
    seconds = math.inf if seconds is None else seconds
    most_evaluations = math.inf if evaluations is None else evaluations
    pace = _Pace(batch, measured=evaluations is None)
    start = clock() - spent
    if done == 0:
        strategy.tell([(Recipe(), base_score)])
    best = base_score if best_score is None else best_score
    hope = _Hope(best, patience=patience, rise=rise)
    under_way: deque[tuple[list[Recipe], Sequence[float]]] = deque()
    while True:
        elapsed = clock() - start
        begun = done + sum(len(recipes) for recipes, _ in under_way)
        reason: Reason = "exhausted"
        if cancel is not None and cancel.is_set():
            reason = "cancelled"
        elif elapsed >= seconds:
            reason = "time"
        elif begun >= most_evaluations:
            reason = "evaluations"
        elif hope.is_lost():
            reason = "saturated"
        else:
            most = min(pace.size, max(1, begun // 4), most_evaluations - begun)
            if pace.each > 0:  # never what cannot end in time, but for a single one
                most = min(most, max(1, min(seconds / 10, seconds - elapsed) / pace.each))
            recipes = strategy.ask(int(most))
            if recipes:
                under_way.append((recipes, evaluate(recipes)))
                if len(under_way) <= ahead:
                    continue
        if not under_way:
            return reason
        recipes, scores = under_way.popleft()
        results = list(zip(recipes, scores, strict=True))
        strategy.tell(results)
        done += len(results)
        now = clock() - start
        pace.record(len(results), now - elapsed)
        top, score = max(results, key=lambda result: result[1])
        if score > best:
            best = score
            yield Improved(top, score, done, now)
        hope.record(len(results), best)
        yield Progress(done, now, best)
