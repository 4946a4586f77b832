"""What a search is given to work with: recipes to scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..recipe import Recipe

Scored = tuple[Recipe, float]
Evaluate = Callable[[Sequence[Recipe]], Sequence[float]]
"""Recipes to scores, higher is better, in the same order. The scores may be read lazily."""
