"""What a search may do: moves (ops) and their dials (parameters with bounds). Pure values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from ..errors import SettingsError
from .steps import Step


@dataclass(frozen=True, slots=True)
class Dial:
    """A parameter between `low` and `high`; at `neutral` its op leaves the image as it is.

    `unit` says what the number means; a `factor` is turned on a logarithmic scale, since half and
    double are equally far from one. `step` is the grid of values worth telling apart.
    """

    name: str
    low: float
    high: float
    neutral: float
    unit: str = "factor"
    step: float = 0.001
    middle: float = field(init=False, repr=False, compare=False)
    """Where the op does nothing, as a position in [0, 1] (see `to_unit`): that of `neutral`, or of
    the bound next to it."""
    _start: float = field(init=False, repr=False, compare=False)
    _way: float = field(init=False, repr=False, compare=False)
    _digits: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise SettingsError(f"{self.name}: {self.low:g}:{self.high:g} is no range")
        # Asked for some hundred thousand times a second.
        object.__setattr__(self, "_start", self._scale(self.low))
        object.__setattr__(self, "_way", self._scale(self.high) - self._start)
        object.__setattr__(self, "_digits", max(0, round(-math.log10(self.step))))
        nearest = min(self.high, max(self.low, self.neutral))
        object.__setattr__(self, "middle", self.to_unit(nearest))

    def within(self, low: float, high: float) -> Dial:
        """The same dial with other bounds, which must lie inside this one's.

        Raises: SettingsError when they do not, or are not in order."""
        if not self.low <= low <= high <= self.high:
            raise SettingsError(
                f"{self.name}={low:g}:{high:g} is no range inside {self.low:g}:{self.high:g}"
            )
        return replace(self, low=low, high=high)

    def snap(self, value: float) -> float:
        """The nearest value on the grid, inside the bounds."""
        return min(self.high, max(self.low, round(value, self._digits) + 0.0))  # no -0.0

    def to_unit(self, value: float) -> float:
        """Position of `value` in [0, 1] on the dial's scale."""
        return (self._scale(value) - self._start) / self._way if self._way else 0.0

    def from_unit(self, position: float) -> float:
        """The value at a position, which is clipped to [0, 1]; inverse of `to_unit` on the grid."""
        at = self._start + min(1.0, max(0.0, position)) * self._way
        return self.snap(math.exp(at) if self._logarithmic else at)

    @property
    def _logarithmic(self) -> bool:
        return self.unit == "factor" and self.low > 0

    def _scale(self, value: float) -> float:
        return math.log(value) if self._logarithmic else value


@dataclass(frozen=True, slots=True)
class Move:
    """An op the search may apply, and how far each of its dials may be turned.

    With `once` it stands at most once in a recipe, so that the bounds hold for the whole of it.
    """

    op: str
    dials: tuple[Dial, ...]
    once: bool = False
    idle: tuple[tuple[str, float], ...] = field(init=False, repr=False, compare=False)
    """Parameters of the step that does nothing."""

    def __post_init__(self) -> None:
        neutral = Step.of(self.op, **{dial.name: dial.neutral for dial in self.dials})
        object.__setattr__(self, "idle", neutral.params)

    def changes(self, step: Step) -> bool:
        """Whether a step of this op does anything."""
        return step.params != self.idle and ("amount", 0.0) not in step.params


Space = tuple[Move, ...]
