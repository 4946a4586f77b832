"""What the user asks of a run, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import SettingsError


@dataclass(frozen=True)
class Settings:
    """Defaults are those of every shell. Raises: SettingsError on a value without a meaning."""

    mode: str = "soft"
    """`soft` turns the gentle ops a little; `hard` turns them far and adds the drastic ones."""
    seconds: float | None = 10.0
    """Time for the search; None: until `evaluations` are spent."""
    evaluations: int | None = None
    """Most candidates to score, the input not counted; None: until time is up."""
    seed: int = 0
    ops: tuple[str, ...] | None = None
    """Ops to search with; None: all of the mode."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Bounds for dials, named `op` or `op.dial`, in place of the mode's."""
    min_light: float = 0.9
    """Least mean light of a result, as a share of the input's; 0 switches the guard off."""
    keep_content: float = 0.0
    """Points lost per unit of drift from the input; 0 switches the guard off."""
    protect_skin: bool = True
    """Whether skin-coloured pixels may not get noticeably darker."""
    top: int = 1
    """How many distinct variants to give back."""

    def __post_init__(self) -> None:
        if self.seconds is None and self.evaluations is None:
            raise SettingsError("give a time or a number of evaluations, or the search never ends")
        if self.seconds is not None and not (0 < self.seconds < math.inf):
            raise SettingsError(f"seconds must be above 0, not {self.seconds:g}")
        if self.evaluations is not None and self.evaluations < 1:
            raise SettingsError(f"evaluations must be 1 or more, not {self.evaluations}")
        if not 0 <= self.min_light <= 1:
            raise SettingsError(f"min-light must be within 0..1, not {self.min_light:g}")
        if not 0 <= self.keep_content < math.inf:
            raise SettingsError(f"keep-content must be 0 or more, not {self.keep_content:g}")
        if not 1 <= self.top <= 100:
            raise SettingsError(f"top must be within 1..100, not {self.top}")
