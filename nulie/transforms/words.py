"""Recipes in words, for people."""

from __future__ import annotations

import math

from ..recipe import Carried, Dial, ModelStep, Recipe, Step
from .base import resolve


def describe(recipe: Recipe) -> str:
    """`contrast 1.20, blur 0.0030 short sides`; what steps carry is named, and a recipe that is all
    frozen begins so: `frozen: contrast 1.20 (mean 105)`. Raises: RecipeError on an unknown op."""
    words = [
        _with_model(entry) if isinstance(entry, ModelStep) else _of_op(entry)
        for entry in recipe.entries
    ]
    carries = recipe.frozen and any(step.frozen for step in recipe.steps)
    return ("frozen: " if carries else "") + (", ".join(words) or "unchanged")


def _of_op(step: Step) -> str:
    op, values = resolve(step)
    # The first dial is what the op's name means; others are named.
    first, *others = ((dial, values[dial.name]) for dial in op.dials)
    notes = [_note(dial, value) for dial, value in others if dial.unit != "switch" or value]
    notes += [_carried(name, value) for name, value in step.frozen or ()]
    return f"{op.id} {_value(*first)}" + _in_brackets(notes)


def _note(dial: Dial, value: float) -> str:
    return dial.name if dial.unit == "switch" else f"{dial.name} {_value(dial, value)}"


def _with_model(step: ModelStep) -> str:
    notes = [f"{name} {v if isinstance(v, str) else f'{v:g}'}" for name, v in step.params]
    return f"{step.op} by {step.name}" + _in_brackets(notes)


def _in_brackets(notes: list[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""


def _value(dial: Dial, value: float) -> str:
    digits = max(0, round(-math.log10(dial.step)))
    # All digits of a factor only where it would read as doing nothing, but does something.
    slight = value != dial.neutral == round(value, 2)
    digits -= dial.unit == "factor" and not slight
    if dial.unit == "share":
        return f"{value * 100:.0f}%"
    unit = {"factor": "", "per cent": "%"}.get(dial.unit, f" {dial.unit}")
    return f"{value:.{digits}f}{unit}"


def _carried(name: str, value: Carried) -> str:
    """`mean 105`, `low 3/4/0`, or `own table`."""
    words = name.replace("_", " ")
    if isinstance(value, bytes):
        return f"own {words}"
    numbers = value if isinstance(value, tuple) else (value,)
    return f"{words} {'/'.join(f'{n:g}' for n in numbers)}"
