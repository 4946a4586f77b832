"""What a search may do: which ops it applies, and how far it turns their dials. Pure values, but
for the table of dials by op, which `nulie.transforms` fills when it registers the ops.

The search uses each op at most once, so its bounds, a mode's as the user's own, hold for the whole
recipe. Searches of version 1 could stack steps of one op; a checkpoint of one still does.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import SettingsError
from .steps import Step

Mode = Literal["soft", "hard"]
MODES: tuple[Mode, ...] = ("soft", "hard")
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Dial:
    """A number of an op, between `low` and `high`; at `neutral` the op leaves the image as it is.

    `unit` says what the number means; a `factor` is turned on a logarithmic scale, since half and
    double are equally far from one. `step` is the grid of values worth telling apart."""

    name: str
    low: float
    high: float
    neutral: float
    unit: str = "factor"
    step: float = 0.001
    soft: Bounds | None = None
    hard: Bounds | None = None
    """How far the two modes turn it in one step; None: not at all."""
    middle: float = field(init=False, repr=False, compare=False)
    """Position in [0, 1] of `neutral`, or of the bound next to it: where the op does nothing."""
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

    def bounds(self, mode: Mode) -> Bounds:
        """How far a mode turns it; where it does not, as far as the other one does."""
        own = self.soft if mode == "soft" else self.hard
        return own or self.hard or self.soft or (self.neutral, self.neutral)

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
    """An op that a search may apply, its dials as far as one step may turn them.

    With `once` the op stands at most once in a recipe, so that the bounds hold for all of it."""

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

_DIALS: dict[str, tuple[Dial, ...]] = {}


def declare(op: str, dials: tuple[Dial, ...]) -> None:
    """Makes an op known by its dials, the one that its name stands for first. Raises: ValueError on
    a second op of that name, an op without a dial, a neutral value or a range of a mode that is
    out of bounds; the table is then left as it was."""
    if op in _DIALS:
        raise ValueError(f"duplicate op {op!r}")
    if not dials:
        raise ValueError(f"{op}: needs a dial")
    for dial in dials:
        if not dial.low <= dial.neutral <= dial.high:
            raise ValueError(f"{op}: {dial.name}'s neutral {dial.neutral} is out of range")
        for bounds in (dial.soft, dial.hard):
            if bounds is not None and not dial.low <= bounds[0] <= bounds[1] <= dial.high:
                raise ValueError(f"{op}: {dial.name}'s range {bounds} of a mode is out of range")
    _DIALS[op] = dials


def unknown(op: str) -> str:
    """Words for an op that is not in the table."""
    if not _DIALS:
        return f"unknown op {op!r}; none is known before nulie.transforms is imported"
    close = difflib.get_close_matches(op, _DIALS, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(_DIALS)}"
    return f"unknown op {op!r}; {hint}"


def find_mode(name: str) -> Mode:
    """Raises: SettingsError on a name that is none of `MODES`."""
    for mode in MODES:
        if mode == name:
            return mode
    raise SettingsError(f"mode {name!r} is unknown; known: {', '.join(MODES)}")


def space(
    mode: Mode = "soft",
    only: Iterable[str] | None = None,
    ranges: Mapping[str, Bounds] | None = None,
) -> Space:
    """The ops of a mode, or those named in `only`, with the user's `ranges` in place of the mode's.
    A range is named by its op, or `op.dial` where an op has several. A name that the mode leaves
    out is allowed: it comes with its ranges of the other mode.

    Raises: SettingsError on an unknown op, dial or mode, a bad range, or when nothing is left."""
    find_mode(mode)
    wanted = None if only is None else list(map(_known, only))
    bounds = {_named(name): bound for name, bound in (ranges or {}).items()}
    bounded = {op for op, _ in bounds}
    moves = []
    for op, dials in _DIALS.items():
        in_mode = any(dial.soft if mode == "soft" else dial.hard for dial in dials)
        if (op in wanted) if wanted is not None else (in_mode or op in bounded):
            turned = tuple(_within(op, d, bounds.get((op, d.name), d.bounds(mode))) for d in dials)
            moves.append(Move(op, turned, once=True))
    if not moves:
        raise SettingsError("no op is left to search with")
    return tuple(moves)


def space_to_json(moves: Space) -> list[dict[str, Any]]:
    """Plain data that `space_from_json` reads back to an equal space."""
    return [
        {"op": m.op, "dials": {d.name: [d.low, d.high] for d in m.dials}, "once": m.once}
        for m in moves
    ]


def space_from_json(data: Iterable[Mapping[str, Any]]) -> Space:
    """A space of this version or an earlier one. Raises: KeyError, TypeError, ValueError."""
    return tuple(_move(**move) for move in data)


def _move(op: str, dials: Mapping[str, Sequence[float]], once: bool) -> Move:
    known = {dial.name: dial for dial in _DIALS[op]}
    try:
        turned = [_within(op, known[name], (low, high)) for name, (low, high) in dials.items()]
    except SettingsError as e:
        raise ValueError(str(e)) from None
    return Move(op, tuple(turned), bool(once))


def _known(op: str) -> str:
    if op not in _DIALS:
        raise SettingsError(unknown(op))
    return op


def _named(name: str) -> tuple[str, str]:
    """`op` or `op.dial` -> op and dial; an op's name alone stands for its first dial."""
    op, _, dial = name.partition(".")
    names = [d.name for d in _DIALS[_known(op)]]
    if dial and dial not in names:
        raise SettingsError(f"{op} has no dial {dial!r}; it has: {', '.join(names)}")
    return op, dial or names[0]


def _within(op: str, dial: Dial, bounds: Bounds) -> Dial:
    """The same dial with other bounds, which must be in order and inside its own."""
    low, high = bounds
    if not dial.low <= low <= high <= dial.high:
        named, whole = f"{dial.name}={low:g}:{high:g}", f"{dial.low:g}:{dial.high:g}"
        raise SettingsError(f"{op}: {named} is no range inside {whole}")
    return replace(dial, low=low, high=high)
