"""The same recipe, weaker or stronger."""

from __future__ import annotations

from ..errors import SettingsError
from ..recipe import Dial, Recipe, Step
from .base import resolve

MOST = 1.5
"""Beyond it, what comes out has little to do with what the search has judged."""


def scale(recipe: Recipe, strength: float) -> Recipe:
    """The recipe with each dial `strength` times as far from its neutral point, along the dial's
    own scale and within its bounds: 1 is the recipe itself, 0 has no steps of ops left. Whole
    numbers are rounded. Switches, what steps carry, and models' steps stay; steps that do nothing
    any more go. Raises: SettingsError when `strength` is not within 0..`MOST`, RecipeError."""
    if not 0 <= strength <= MOST:
        raise SettingsError(f"strength must be within 0..{MOST:g}, not {strength:g}")
    if strength == 1:
        return recipe
    scaled = (_scale(step, strength) for step in recipe.steps)
    steps = tuple(step for step in scaled if step is not None)
    return Recipe(steps, recipe.before, recipe.after)


def _scale(step: Step, strength: float) -> Step | None:
    op, values = resolve(step)
    turned = {dial.name: _turn(dial, values[dial.name], strength) for dial in op.dials}
    idle = all(turned[dial.name] == dial.neutral for dial in op.dials)
    # With an amount of 0 the other dials say how nothing is done.
    if idle or turned.get("amount") == 0:
        return None
    return Step(step.op, tuple((name, turned[name]) for name, _ in step.params), step.frozen)


def _turn(dial: Dial, value: float, strength: float) -> float:
    if value == dial.neutral or (dial.unit == "switch" and strength):
        return value  # a switch says in what way, not how much
    neutral = dial.to_unit(dial.neutral)
    return dial.from_unit(neutral + strength * (dial.to_unit(value) - neutral))
