"""What the user asks of a run, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SettingsError
from .space import Bounds, find_mode, space


@dataclass(frozen=True)
class Settings:
    """Defaults are those of every shell. Raises: SettingsError on a value of another type, without
    a meaning, or that names no op; ops are known once `nulie.transforms` is imported."""

    mode: str = "soft"
    """`soft` turns the gentle ops a little; `hard` turns them far and adds the drastic ones."""
    seconds: float | None = 10.0
    """Time for the search; None: until `evaluations` are spent."""
    evaluations: int | None = None
    """Most candidates to score, the input not counted; None: until time is up."""
    seed: int = 0
    ops: tuple[str, ...] | None = None
    """Ops to search with; None: all of the mode."""
    ranges: Mapping[str, Bounds] = field(default_factory=dict)
    """Bounds for dials, named `op` or `op.dial`, in place of the mode's. A mode's bound each step;
    these bound the whole recipe, in which such an op stands at most once."""
    min_light: float = 0.9
    """Least mean light of a result, as a share of the input's; 0 switches the guard off."""
    keep_content: float = 0.0
    """Points lost per unit of drift from the input; 0 switches the guard off."""
    protect_skin: bool = True
    """Whether skin-coloured pixels may not get noticeably darker."""
    min_color: float = 0.97
    """Least mean chroma of a result, as a share of the input's; 0 switches the guard off."""
    min_contrast: float = 0.97
    """Least spread of lightness of a result, likewise."""
    top: int = 1
    """How many distinct variants to give back."""
    patience: float | None = None
    """How long a search goes on without a gain before it ends, as a multiple of how long it has
    taken to come so far; 0: until the budget is spent; None: as long as is good for the predictor,
    where there is a time, else 0."""

    def __post_init__(self) -> None:
        if self.seconds is None and self.evaluations is None:
            raise SettingsError("give a time or a number of evaluations, or the search never ends")
        if self.seconds is not None and not (0 < _number("seconds", self.seconds) < math.inf):
            raise SettingsError(f"seconds must be above 0, not {self.seconds:g}")
        if self.evaluations is not None and _whole("evaluations", self.evaluations) < 1:
            raise SettingsError(f"evaluations must be 1 or more, not {self.evaluations}")
        _whole("seed", self.seed)
        for name in ("min_light", "min_color", "min_contrast"):
            option, share = name.replace("_", "-"), getattr(self, name)
            if not 0 <= _number(option, share) <= 1:
                raise SettingsError(f"{option} must be within 0..1, not {share:g}")
        if not 0 <= _number("keep-content", self.keep_content) <= 1e6:
            most = f"keep-content must be 0 or more, 1e6 at most, not {self.keep_content:g}"
            raise SettingsError(most)
        if not isinstance(self.protect_skin, bool):
            raise SettingsError(f"protect-skin must be true or false, not {self.protect_skin!r}")
        if not 1 <= _whole("top", self.top) <= 100:
            raise SettingsError(f"top must be within 1..100, not {self.top}")
        if self.patience is not None and not 0 <= _number("patience", self.patience) < math.inf:
            raise SettingsError(f"patience must be 0 or more, not {self.patience:g}")
        ops = None if self.ops is None else _names("ops", self.ops)
        if not isinstance(self.ranges, Mapping):
            raise SettingsError(f"ranges must be bounds by name, not {self.ranges!r}")
        ranges = {name: _bounds(name, bounds) for name, bounds in self.ranges.items()}
        # Own copies, of the types that are declared.
        object.__setattr__(self, "ops", ops)
        object.__setattr__(self, "ranges", ranges)
        mode = find_mode(self.mode)
        if ops is not None or ranges:
            space(mode, ops, ranges)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"{name} must be a number, not {value!r}")
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingsError(f"{name} must be a whole number, not {value!r}")
    return value


def _names(name: str, value: Any) -> tuple[str, ...]:
    # A text is a sequence of texts, and nobody means its letters.
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise SettingsError(f"{name} must be a list of names, not {value!r}")
    for item in value:
        if not isinstance(item, str):
            raise SettingsError(f"{name} must be a list of names, and {item!r} is none")
    return tuple(value)


def _bounds(name: Any, value: Any) -> Bounds:
    if not isinstance(name, str):
        raise SettingsError(f"ranges must be bounds by name, and {name!r} is no name")
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise SettingsError(f"range {name} must be two numbers, not {value!r}")
    return _number(f"range {name}", value[0]), _number(f"range {name}", value[1])
