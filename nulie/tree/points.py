"""Recipes as points: how far each dial is turned in all. In that space a search can reckon with
thousands of recipes at once; the few that are worth it become steps again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..recipe import Recipe, Step
from ..recipe.space import Move, Space

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
        self._columns: dict[str, range] = {}
        self._owners: list[str] = []  # the op of each column
        neutral: list[float] = []
        times: list[int] = []
        for move in space:
            self._columns[move.op] = range(len(neutral), len(neutral) + len(move.dials))
            self._owners += [move.op] * len(move.dials)
            neutral += [dial.middle for dial in move.dials]
            times += [1 if move.once else REPEATS] * len(move.dials)
        self._neutral = neutral
        self.low = -np.array(neutral) * times
        """`[D]`: how far all steps together may turn each dial down."""
        self.high = (1 - np.array(neutral)) * times
        """`[D]`: and up."""
        self._rows: dict[int, tuple[Recipe, Array]] = {}
        self._known: dict[Step, tuple[list[tuple[int, float]], list[float]]] = {}

    def of(self, recipes: Sequence[Recipe]) -> Array:
        """`[N, D]`, a point for each recipe, whose steps are those of the space."""
        if len(self._rows) > 10_000:
            self._rows.clear()
        if len(self._known) > 20_000:
            self._known.clear()
        rows = [self._row(recipe) for recipe in recipes]
        return np.array(rows).reshape(len(rows), len(self._neutral))

    def _row(self, recipe: Recipe) -> Array:
        # By identity: parents come again and again, and a hash costs as much as to read them. Kept
        # with its row, the recipe lets no other one have its id.
        known = self._rows.get(id(recipe))
        if known is None:
            turned = [0.0] * len(self._neutral)
            for step in recipe.steps:
                for column, turn in self._read(step)[0]:
                    turned[column] += turn
            known = self._rows[id(recipe)] = recipe, np.array(turned)
        return known[1]

    def _read(self, step: Step) -> tuple[list[tuple[int, float]], list[float]]:
        """How far a step turns each dial (a dial beside an amount does as much as that), with its
        column; and where the dials stand."""
        known = self._known.get(step)
        if known is None:
            values, dials = dict(step.params), self._moves[step.op].dials
            amount = values.get("amount", 1.0)
            places = [dial.to_unit(values[dial.name]) for dial in dials]
            turns = []
            for column, dial, at in zip(self._columns[step.op], dials, places, strict=True):
                turned = at - self._neutral[column]
                turns.append((column, turned if dial.name == "amount" else turned * amount))
            known = self._known[step] = turns, places
        return known

    def turn(self, recipe: Recipe, way: Sequence[float], most: int) -> Recipe:
        """The recipe with its dials turned further by `way`, `[D]`, in the units of a point.

        The steps of an op share that out: those that go back to where they do nothing go first,
        and out of the recipe when they are there. What no step has room for makes new steps at the
        end, as long as there are fewer than `most` and the op may stand twice."""
        steps = list(recipe.steps)
        turned = (op for op, part in zip(self._owners, way, strict=True) if part)
        for op in dict.fromkeys(turned):
            columns, move = self._columns[op], self._moves[op]
            rest = way[columns.start : columns.stop]
            own = [at for at, step in enumerate(steps) if step.op == op]
            free = most - len(steps)
            if move.once:
                free = min(free, 1 - len(own))
            before = [self._read(steps[at])[1] for at in own]
            places = [list(stand) for stand in before]
            neutral = self._neutral[columns.start : columns.stop]
            rest = [_shared(places, i, part, neutral[i]) for i, part in enumerate(rest)]
            steps += self._new_steps(move, rest, free)
            for at, old, new in reversed(list(zip(own, before, places, strict=True))):
                if new != old:
                    steps[at : at + 1] = self._step(move, new)
        return Recipe(tuple(steps))

    def _new_steps(self, move: Move, rest: Sequence[float], free: int) -> list[Step]:
        """Up to `free` steps that together turn the move's dials by `rest`."""
        columns, found = self._columns[move.op], []
        neutral = self._neutral[columns.start : columns.stop]
        while free > 0 and any(abs(part) >= LEAST for part in rest):
            places = [min(1.0, max(0.0, a + part)) for a, part in zip(neutral, rest, strict=True)]
            step = self._step(move, places)
            if not step:
                break
            found += step
            rest = [part - (b - a) for part, a, b in zip(rest, neutral, places, strict=True)]
            free -= 1
        return found

    def _step(self, move: Move, places: Sequence[float]) -> list[Step]:
        """The step with the move's dials at such places, none where that does nothing."""
        if all(abs(at - dial.middle) < LEAST for dial, at in zip(move.dials, places, strict=True)):
            return []
        values = {d.name: d.from_unit(at) for d, at in zip(move.dials, places, strict=True)}
        return [] if values.get("amount") == 0 else [Step.of(move.op, **values)]


def _shared(places: list[list[float]], dial: int, way: float, neutral: float) -> float:
    """Turns one dial of some steps by `way` in all, as far as they have room for it; the rest."""
    end = float(way > 0)
    # First no further than to where the dial does nothing.
    for limit in (min(end, neutral) if end else max(end, neutral), end):
        for step in places:
            room = limit - step[dial]
            if abs(way) >= LEAST and room * way > 0:
                part = min(room, way) if way > 0 else max(room, way)
                step[dial] += part
                way -= part
    return way
