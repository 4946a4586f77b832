"""What a search works with: recipes, their scores, and the nodes that they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..recipe import Recipe

Scored = tuple[Recipe, float]
Evaluate = Callable[[Sequence[Recipe]], Sequence[float]]
"""Recipes to scores, higher is better, in the same order. The scores may be read lazily."""

ORPHAN = -1
"""Parent of a node that was made from no other."""


@dataclass(frozen=True, slots=True)
class Node:
    """A scored recipe; `number` counts evaluations, 0 the input; `parent` is a number or ORPHAN."""

    recipe: Recipe
    score: float
    parent: int
    number: int
