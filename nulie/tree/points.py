"""Recipes as points: how far each dial is turned in all, to compare thousands of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..recipe import Move, Recipe, Space, Step

Array = npt.NDArray[np.float64]

REPEATS = 6
"""Whole ways that the steps of one op may turn a dial in all."""
LEAST = 1e-3
"""Share of a dial's way that is no change at all."""


class Points:
    """A column for each dial of each move, in units of the dial's way, zero where it does nothing.

    What several steps do to a dial is added up, so two half steps look like one whole and order
    does not matter: wrong in detail, right enough to tell a promising recipe from a hopeless one.
    """

    def __init__(self, space: Space) -> None:
        self._moves = {move.op: move for move in space}
        self._owners = [move.op for move in space for _ in move.dials]  # the op of each column
        self._firsts = {op: self._owners.index(op) for op in self._moves}
        neutral = np.array([dial.middle for move in space for dial in move.dials])
        times = [1 if self._moves[op].once else REPEATS for op in self._owners]
        self.low = -neutral * times
        """`[D]`: how far all steps together may turn each dial down."""
        self.high = (1 - neutral) * times
        """`[D]`: and up."""
        self._rows: dict[int, tuple[Recipe, Array]] = {}
        self._steps: dict[Step, tuple[list[tuple[int, float]], list[float]]] = {}

    def of(self, recipes: Sequence[Recipe]) -> Array:
        """`[N, D]`, a point for each recipe, whose steps are those of the space."""
        if len(self._rows) > 10_000:
            self._rows.clear()
        if len(self._steps) > 20_000:
            self._steps.clear()
        rows = [self._row(recipe) for recipe in recipes]
        return np.array(rows).reshape(len(rows), len(self._owners))

    def _row(self, recipe: Recipe) -> Array:
        # By identity: parents come again and again, and a hash costs as much as to read them. Kept
        # with its row, the recipe lets no other one have its id.
        row = self._rows.get(id(recipe))
        if row is None:
            turns = [0.0] * len(self._owners)
            for step in recipe.steps:
                for column, turn in self._read(step)[0]:
                    turns[column] += turn
            row = self._rows[id(recipe)] = recipe, np.array(turns)
        return row[1]

    def _read(self, step: Step) -> tuple[list[tuple[int, float]], list[float]]:
        """How far a step turns each dial (a dial beside an amount counts as much as that), with its
        column; and the positions of the dials."""
        reading = self._steps.get(step)
        if reading is None:
            values, dials = dict(step.params), self._moves[step.op].dials
            amount = values.get("amount", 1.0)
            positions = [dial.to_unit(values[dial.name]) for dial in dials]
            turns, first = [], self._firsts[step.op]
            for column, (dial, at) in enumerate(zip(dials, positions, strict=True), first):
                turn = at - dial.middle
                turns.append((column, turn if dial.name == "amount" else turn * amount))
            reading = self._steps[step] = turns, positions
        return reading

    def turn(self, recipe: Recipe, way: Sequence[float], most: int) -> Recipe:
        """The recipe with its dials turned further by `way`, `[D]`, in the units of a point.

        The steps of an op share that out: those that go back to where they do nothing go first,
        and out of the recipe when they are there. What no step has room for makes new steps at the
        end, as long as there are fewer than `most` and the op may stand twice."""
        steps = list(recipe.steps)
        ops = (op for op, part in zip(self._owners, way, strict=True) if part)
        for op in dict.fromkeys(ops):
            self._turn_op(steps, self._moves[op], way, most)
        return Recipe(tuple(steps))

    def _turn_op(self, steps: list[Step], move: Move, way: Sequence[float], most: int) -> None:
        own = [at for at, step in enumerate(steps) if step.op == move.op]
        free = most - len(steps)
        if move.once:
            free = min(free, 1 - len(own))
        before = [self._read(steps[at])[1] for at in own]
        after = [list(positions) for positions in before]
        first, dials = self._firsts[move.op], enumerate(move.dials)
        rest = [_share_out(after, i, way[first + i], dial.middle) for i, dial in dials]
        steps += self._new_steps(move, rest, free)
        for at, old, new in reversed(list(zip(own, before, after, strict=True))):
            if new != old:
                steps[at : at + 1] = self._step(move, new)

    def _new_steps(self, move: Move, rest: Sequence[float], free: int) -> list[Step]:
        """Up to `free` steps that together turn the move's dials by `rest`."""
        neutral, steps = [dial.middle for dial in move.dials], []
        while free > 0 and any(abs(part) >= LEAST for part in rest):
            ends = [min(1.0, max(0.0, a + part)) for a, part in zip(neutral, rest, strict=True)]
            step = self._step(move, ends)
            if not step:
                break
            steps += step
            rest = [part - (b - a) for part, a, b in zip(rest, neutral, ends, strict=True)]
            free -= 1
        return steps

    def _step(self, move: Move, positions: Sequence[float]) -> list[Step]:
        """The step with the move's dials at these positions, none where that does nothing."""
        dials = list(zip(move.dials, positions, strict=True))
        if all(abs(at - dial.middle) < LEAST for dial, at in dials):
            return []
        values = {dial.name: dial.from_unit(at) for dial, at in dials}
        return [] if values.get("amount") == 0 else [Step.of(move.op, **values)]


def _share_out(steps: list[list[float]], dial: int, way: float, neutral: float) -> float:
    """Turns a dial in some steps' positions by `way` in all, as far as there is room; the rest."""
    end = float(way > 0)
    # First no further than to where the dial does nothing.
    for limit in (min(end, neutral) if end else max(end, neutral), end):
        for positions in steps:
            room = limit - positions[dial]
            if abs(way) >= LEAST and room * way > 0:
                part = min(room, way) if way > 0 else max(room, way)
                positions[dial] += part
                way -= part
    return way
