"""The space that version 1 searched, so that its checkpoints are gone on from as they began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .space import Bounds, Space, space_from_json

_FACTOR = ((0.9, 1.111), (0.5, 2.0))
_DRASTIC = ("invert", "solarize", "posterize", "hue")
_RANGES: dict[str, dict[str, tuple[Bounds, Bounds]]] = {
    "brightness": {"factor": _FACTOR},
    "contrast": {"factor": _FACTOR},
    "gamma": {"gamma": _FACTOR, "gain": ((0.9, 1.1), (0.9, 1.1))},
    "invert": {"amount": ((0, 1), (0, 1))},
    "solarize": {"threshold": ((0, 256), (0, 256))},
    "posterize": {"bits": ((1, 8), (1, 8))},
    "autocontrast": {"amount": ((0, 1), (0, 1)), "cutoff": ((0, 1), (0, 2))},
    "equalize": {"amount": ((0, 1), (0, 1))},
    "saturation": {"factor": _FACTOR},
    "hue": {"shift": ((-0.1, 0.1), (-0.1, 0.1))},
    "sharpness": {"factor": _FACTOR},
    "blur": {"radius": ((0, 0.004), (0, 0.008))},
}
"""Bounds of a step's dials in soft and in hard mode."""


def space(mode: str, only: Iterable[str] | None, ranges: Mapping[str, Bounds]) -> Space:
    """As `recipe.space.space` made it then, of what was checked then. An op with a range of the
    user's stands at most once; all others may be stacked.

    Raises: KeyError, TypeError, ValueError on what version 1 did not know."""
    bounds = {}
    for name, bound in ranges.items():
        op, _, dial = name.partition(".")
        bounds[op, dial or next(iter(_RANGES[op]))] = bound
    bounded = {op for op, _ in bounds}
    wanted = None if only is None else set(only)
    moves = []
    for op, dials in _RANGES.items():
        in_mode = mode == "hard" or op not in _DRASTIC or op in bounded
        if op in wanted if wanted is not None else in_mode:
            at = ["soft", "hard"].index(mode)
            turned = {d: bounds.get((op, d), both[at]) for d, both in dials.items()}
            moves.append({"op": op, "dials": turned, "once": op in bounded})
    return space_from_json(moves)
