"""What the tree keeps, as plain data for JSON, read back with care: a file may be damaged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..recipe import Recipe, Step


def steps_to_json(recipe: Recipe) -> list[dict[str, Any]]:
    """The steps of a recipe, as they stand in its own JSON."""
    return [{"op": step.op, **dict(step.params)} for step in recipe.steps]


def steps_from_json(data: Sequence[Mapping[str, Any]]) -> Recipe:
    """A recipe of these steps. Raises: TypeError, ValueError."""
    return Recipe(tuple(_step(**item) for item in data))


def _step(op: str, **params: Any) -> Step:
    values = {name: number(value) for name, value in params.items()}
    if not all(map(math.isfinite, values.values())):
        raise ValueError(f"{op}: {params} are not finite")
    return Step.of(op, **values)


def number(data: Any) -> float:
    """A number, be it infinite or NaN. Raises: TypeError, ValueError."""
    if isinstance(data, bool) or not isinstance(data, (int, float)):
        raise TypeError(f"{data!r} is no number")
    if isinstance(data, int) and abs(data) >= 2**63:
        raise ValueError(f"{data!r} is too large")
    return float(data)


def integer(data: Any) -> int:
    """A whole number. Raises: TypeError."""
    if type(data) is not int:
        raise TypeError(f"{data!r} is no whole number")
    return data


def count(data: Any) -> int:
    """A count, 0 or more. Raises: TypeError, ValueError."""
    if not 0 <= integer(data) < 2**63:
        raise ValueError(f"{data!r} counts nothing")
    return integer(data)
