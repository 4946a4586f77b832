"""A node of the tree: a recipe that was scored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..recipe import Recipe
from .plain import count, number, steps_from_json, steps_to_json

ORPHAN = -1
"""Parent of a node that was made from no other."""


@dataclass(frozen=True, slots=True)
class Node:
    """A recipe that was scored. `number` counts evaluations from 0, the input itself; `parent` is
    the number of the node it was made from, or ORPHAN."""

    recipe: Recipe
    score: float
    parent: int
    number: int

    def to_json(self) -> dict[str, Any]:
        """Data for JSON that `from_json` reads back to an equal node."""
        return {
            "steps": steps_to_json(self.recipe),
            "score": self.score,
            "parent": self.parent,
            "number": self.number,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Node:
        """Parents are older than their children, so every chain of parents comes to an end.

        Raises: KeyError, TypeError, ValueError when the data is no node."""
        own, parent = count(data["number"]), data["parent"]
        if parent != ORPHAN and count(parent) >= own:
            raise ValueError(f"node {own} cannot be made from node {parent}")
        score = number(data["score"])
        if math.isnan(score):
            raise ValueError(f"score of node {own} is NaN")
        return cls(steps_from_json(data["steps"]), score, parent, own)
