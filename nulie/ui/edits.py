"""Changes of a recipe's steps by hand: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..recipe import Step
from ..transforms import get

Steps = list[Step]
Edit = Callable[[Steps, int, str], tuple[Steps, int]]
"""Steps, the place of the chosen one, the op in its list -> steps, the place of the chosen one."""


def neutral(op_id: str) -> Step:
    """A step whose dials stand where they do nothing."""
    return Step.of(op_id, **{d.name: d.neutral for d in get(op_id).dials})


def turn(step: Step, numbers: Sequence[float | None]) -> Step:
    """The step with the sliders' values, which may be None for a moment while one is typed."""
    dials = zip(get(step.op).dials, numbers, strict=False)
    return Step.of(
        step.op, **{d.name: d.snap(d.neutral if v is None else float(v)) for d, v in dials}
    )


def use(steps: Steps, at: int, op_id: str) -> tuple[Steps, int]:
    """The step's op is another one. Lists tell of the same one, too, when they lose the focus."""
    if op_id in ("", None, steps[at].op):
        return steps, at
    return [*steps[:at], neutral(op_id), *steps[at + 1 :]], at


def earlier(steps: Steps, at: int, _: str) -> tuple[Steps, int]:
    return _swap(steps, at, at - 1)


def later(steps: Steps, at: int, _: str) -> tuple[Steps, int]:
    return _swap(steps, at, at + 1)


def remove(steps: Steps, at: int, _: str) -> tuple[Steps, int]:
    return steps[:at] + steps[at + 1 :], max(0, min(at, len(steps) - 2))


def _swap(steps: Steps, at: int, other: int) -> tuple[Steps, int]:
    if not 0 <= other < len(steps):
        return steps, at
    swapped = [*steps]
    swapped[at], swapped[other] = steps[other], steps[at]
    return swapped, other
