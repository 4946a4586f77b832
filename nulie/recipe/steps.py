"""Recipes: immutable, JSON-serialisable chains of steps. Pure values; no image library, no torch.

What the ops and their parameters mean is `nulie.transforms`' business; a recipe only promises
well-formed data: names, finite numbers, a known format.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import RecipeError

FORMAT = 1
"""Number of the JSON layout. A reader refuses others, so a change of meaning needs a new one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One op application: `op` is the op's id, `params` sorted (name, value) pairs."""

    op: str
    params: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, op: str, **params: float) -> Step:
        return cls(op, tuple(sorted(params.items())))

    def __str__(self) -> str:
        return " ".join([self.op, *(f"{name}={value:g}" for name, value in self.params)])


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in the order they are applied. The empty recipe leaves an image as it is."""

    steps: tuple[Step, ...] = ()

    def then(self, step: Step) -> Recipe:
        return Recipe((*self.steps, step))

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return ", ".join(map(str, self.steps)) or "unchanged"

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal recipe."""
        steps = [{"op": s.op, **dict(s.params)} for s in self.steps]
        return json.dumps({"nulie": FORMAT, "steps": steps}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Raises: RecipeError on malformed JSON, an unknown format number, a value that is no
        finite number."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as e:  # of more than 4,300 digits, too
            raise RecipeError(f"not a nulie recipe, for it is no JSON: {e}") from None
        if not isinstance(data, dict) or "nulie" not in data:
            raise RecipeError('not a nulie recipe: it has no "nulie" format number')
        if type(data["nulie"]) is not int or data["nulie"] != FORMAT:
            raise RecipeError(
                f"recipe format {data['nulie']!r} is unknown; this version reads format {FORMAT}"
            )
        if not isinstance(data.get("steps"), list):
            raise RecipeError('not a nulie recipe: "steps" is no list')
        return cls(tuple(_step(item, i) for i, item in enumerate(data["steps"], 1)))


def _step(data: Any, number: int) -> Step:
    if not isinstance(data, Mapping) or not isinstance(data.get("op"), str):
        raise RecipeError(f'step {number} of the recipe has no "op" name')
    params = {}
    for name, value in data.items():
        if name == "op":
            continue
        # bool is an int to Python, but nobody means 1.0 by true.
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RecipeError(f"step {number}: {name}={value!r} is no number")
        try:
            params[name] = float(value)
        except OverflowError:
            params[name] = math.inf
        if not math.isfinite(params[name]):
            raise RecipeError(f"step {number}: {name}={value!r} is not finite")
    return Step.of(data["op"], **params)
