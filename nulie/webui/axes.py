"""Axes of the web UI's script X/Y/Z plot, which set what our controls set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..predictor import NAMES
from ..transforms import MODES

AXES = "nulie_axes"
"""Where the web UI's processing keeps the values of axes."""
OFF = "off"
"""The mode of an axis's image that stays as it is."""


def add(module: Any) -> None:
    """Adds them to those of the script's module, which is new at each load of the scripts."""
    for name, label, kind, choices in (
        ("mode", "Mode", str, (OFF, *MODES)),
        ("seconds", "Seconds", float, None),
        ("predictor", "Predictor", str, ("auto", *NAMES)),
    ):
        values = None if choices is None else lambda choices=choices: list(choices)
        module.axis_options.append(
            module.AxisOption(f"[NUlIE] {label}", kind, _setter(name), choices=values)
        )


def _setter(name: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, values: Any) -> None:
        # A new one: the web UI's copies of a processing share what is in it.
        setattr(p, AXES, {**getattr(p, AXES, {}), name: value})

    return apply
