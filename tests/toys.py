"""A search's space and scores without images: what the tests of the search share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nulie.recipe import Recipe
from nulie.recipe.space import Dial, Move
from nulie.search import Evaluate, Improved, Progress, Reason, Strategy, run

SPACE = (
    Move("a", (Dial("factor", 0.5, 2.0, 1.0),)),
    Move("b", (Dial("x", 0.0, 1.0, 0.0, "share", 0.01), Dial("y", 0.0, 1.0, 0.0, "share", 0.01))),
    Move("c", (Dial("bits", 1.0, 8.0, 8.0, "bits", 1.0),)),
)


def totals(recipe: Recipe) -> dict[str, float]:
    """What the steps of each dial come to: factors multiply, of others the last one counts."""
    values = {"factor": 1.0, "x": 0.0, "y": 0.0, "bits": 8.0}
    for step in recipe.steps:
        for name, value in step.params:
            values[name] = values[name] * value if name == "factor" else value
    return values


def toy(recipes: Sequence[Recipe]) -> list[float]:
    """Best, 0, at factor 3 (two steps of `a`), x 0.3, y 0.7; c only harms."""
    scores = []
    for recipe in recipes:
        t = totals(recipe)
        scores.append(
            -abs(math.log(t["factor"] / 3))
            - abs(t["x"] - 0.3) - abs(t["y"] - 0.7) - (8 - t["bits"]) / 8
        )  # fmt: skip
    return scores


def drive(
    strategy: Strategy, evaluate: Evaluate = toy, **budget: float | int
) -> tuple[list[Progress | Improved], Reason]:
    """All events of a run, and why it ended."""
    events: list[Progress | Improved] = []
    base_score = evaluate([Recipe()])[0]
    steps = run(strategy, evaluate, base_score=base_score, **budget)  # type: ignore[arg-type]
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return events, stop.value
