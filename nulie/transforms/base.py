"""What an op is: its dials, its exact Pillow form, and its form for batches of previews."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import RecipeError, SettingsError
from ..recipe import Recipe, Step
from ..recipe.space import Dial, Move, Space

if TYPE_CHECKING:
    import torch
    from PIL import Image

Values = Mapping[str, npt.NDArray[np.float64]]
"""Dial name -> `[B]` values, one for each image of a batch."""
Tables = npt.NDArray[np.uint8]
"""`[B, 3, 256]`, or `[B, 1, 256]` where the three channels share one table."""
Bounds = tuple[float, float]

Merge = Callable[[dict[str, float], dict[str, float]], dict[str, float]]

MODES = ("soft", "hard")
Mode = Literal["soft", "hard"]


@dataclass(frozen=True)
class Param:
    """A dial with the ranges that the two modes give it; None: not turned in that mode."""

    dial: Dial
    soft: Bounds | None
    hard: Bounds | None


@dataclass(frozen=True)
class Op:
    """One operation in two forms that do the same: `pil`, and either `table` or `tensor`."""

    id: str
    help: str
    params: tuple[Param, ...]
    pil: Callable[..., Image.Image]
    """(RGB image, **values) -> new RGB image of the same size: the truth."""
    table: Callable[[Values, npt.NDArray[Any]], Tables] | None = None
    """For an op that maps each channel's levels: (values, statistics) -> tables that give the
    bytes of `pil` exactly. Statistics are what `needs` names, of the images it is applied to."""
    needs: Literal["nothing", "grey mean", "histogram"] = "nothing"
    """`grey mean`: `[B]` mean of Pillow's mode L; `histogram`: `[B, 3, 256]` counts."""
    tensor: Callable[[torch.Tensor, Values], torch.Tensor] | None = None
    """For every other op: (`[B, 3, H, W]` uint8, values each `[B]`) -> the same shape."""
    grain: Callable[..., torch.Tensor] | None = None
    """For an op that looks at a pixel's neighbours, what it does to a pixel of which no more is
    known than its value in the blurred photo: (pixels `[B, 3, 1, N]` uint8, the same of the photo
    blurred by `SHARPNESS_RADIUS`, values as for `tensor`) -> pixels."""
    tolerance: int = 0
    """Largest difference, in levels of 255, between `tensor` and `pil`."""
    merge: Merge | None = None
    """The values of one application that does about what two in a row do, where there are any."""

    @property
    def dials(self) -> tuple[Dial, ...]:
        return tuple(p.dial for p in self.params)


_OPS: dict[str, Op] = {}


def register(op: Op) -> None:
    """Raises: ValueError on a second op of the same id, a neutral value out of range, or an op
    without exactly one batch form; the table is then left as it was."""
    if op.id in _OPS:
        raise ValueError(f"duplicate op {op.id!r}")
    for dial in op.dials:
        if not dial.low <= dial.neutral <= dial.high:
            raise ValueError(f"{op.id}: neutral {dial.neutral} is out of range")
    if (op.table is None) == (op.tensor is None):
        raise ValueError(f"{op.id}: needs a table form or a tensor form, not both")
    _OPS[op.id] = op


def ops() -> Mapping[str, Op]:
    """Every op by its id, in the order of registration."""
    return MappingProxyType(_OPS)


def get(op_id: str) -> Op:
    """Raises: RecipeError that names the known ops when `op_id` is not one of them."""
    try:
        return _OPS[op_id]
    except KeyError:
        close = difflib.get_close_matches(op_id, _OPS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(_OPS)}"
        raise RecipeError(f"unknown op {op_id!r}; {hint}") from None


def resolve(step: Step) -> tuple[Op, dict[str, float]]:
    """The op of a step and all its values, neutral ones filled in.

    Raises: RecipeError on an unknown op or dial, or a value out of range (NaN included)."""
    op = get(step.op)
    given = dict(step.params)
    values = {}
    for dial in op.dials:
        value = given.pop(dial.name, dial.neutral)
        if not dial.low <= value <= dial.high:
            raise RecipeError(
                f"{op.id}: {dial.name}={value:g} is outside {dial.low:g}..{dial.high:g}"
            )
        if dial.step == 1 and value != round(value):
            raise RecipeError(f"{op.id}: {dial.name}={value:g} is no whole number")
        values[dial.name] = value
    if given:
        names = ", ".join(d.name for d in op.dials) or "none"
        raise RecipeError(f"{op.id} has no dial {', '.join(given)}; it has: {names}")
    return op, values


def check(recipe: Recipe) -> Recipe:
    """The recipe itself. Raises: RecipeError when a step of it cannot be applied."""
    for number, step in enumerate(recipe.steps, 1):
        try:
            resolve(step)
        except RecipeError as e:
            raise RecipeError(f"step {number} of the recipe: {e}") from None
    return recipe


def space(
    mode: Mode = "soft",
    only: Iterable[str] | None = None,
    ranges: Mapping[str, Bounds] | None = None,
) -> Space:
    """The moves of a mode, or those named in `only`, with the user's `ranges` in place of the
    mode's. A range is named by its op, or `op.dial` where an op has several.

    A name that the mode leaves out is allowed: it comes with its ranges of the other mode. An op
    with a range of the user's is applied once at most, so that the range bounds all of it.
    Raises: SettingsError on an unknown op, dial or mode, a bad range, or when nothing is left."""
    if mode not in MODES:
        raise SettingsError(f"mode {mode!r} is unknown; known: {', '.join(MODES)}")
    wanted = None if only is None else [_known(name) for name in only]
    bounds: dict[tuple[str, str], Bounds] = {}
    for name, bound in (ranges or {}).items():
        op_id, _, dial_name = name.partition(".")
        op = _OPS[_known(op_id)]
        dial = next((d for d in op.dials if d.name == (dial_name or op.dials[0].name)), None)
        if dial is None:
            raise SettingsError(
                f"{op_id} has no dial {dial_name!r}; it has: {', '.join(d.name for d in op.dials)}"
            )
        bounds[op.id, dial.name] = bound
    bounded = {op_id for op_id, _ in bounds}
    moves = []
    for op in _OPS.values():
        in_mode = any(getattr(p, mode) for p in op.params)
        if (op.id in wanted) if wanted is not None else (in_mode or op.id in bounded):
            dials = tuple(_dial(op.id, p, mode, bounds) for p in op.params)
            moves.append(Move(op.id, dials, once=op.id in bounded))
    if not moves:
        raise SettingsError("no op is left to search with")
    return tuple(moves)


def _known(op_id: str) -> str:
    try:
        return get(op_id).id
    except RecipeError as e:
        raise SettingsError(str(e)) from None


def _dial(op_id: str, param: Param, mode: Mode, bounds: Mapping[tuple[str, str], Bounds]) -> Dial:
    default = getattr(param, mode) or param.hard or param.soft
    bound = bounds.get((op_id, param.dial.name), default)
    if bound is None:
        bound = (param.dial.neutral, param.dial.neutral)
    try:
        return param.dial.within(*bound)
    except SettingsError as e:
        raise SettingsError(f"{op_id}: {e}") from None


def merged(first: Step, second: Step) -> Step | None:
    """One step for two of the same op in a row, or None where there is none or it leaves the op's
    range. Only about the same: clipping between the two is not repeated."""
    op, before = resolve(first)
    _, after = resolve(second)
    if first.op != second.op or op.merge is None:
        return None
    values = op.merge(before, after)
    inside = all(d.low <= values[d.name] <= d.high for d in op.dials)
    return Step.of(op.id, **{d.name: d.snap(values[d.name]) for d in op.dials}) if inside else None


def describe(recipe: Recipe) -> str:
    """A recipe in words, for people: `contrast 1.20, blur 0.0030 short sides`."""
    words = []
    for step in recipe.steps:
        op, values = resolve(step)
        dials: list[str] = []
        for dial in op.dials:
            digits = max(0, round(-math.log10(dial.step)))
            # All digits of a factor only where it would read as doing nothing, but does something.
            slight = values[dial.name] != dial.neutral == round(values[dial.name], 2)
            digits -= dial.unit == "factor" and not slight
            unit = {"factor": "", "share": "%", "per cent": "%"}.get(dial.unit, f" {dial.unit}")
            value = values[dial.name] * (100 if dial.unit == "share" else 1)
            text = f"{value:.{0 if dial.unit == 'share' else digits}f}{unit}"
            # The first dial is what the op's name means; others are named.
            dials.append(f"{dial.name} {text}" if dials else text)
        words.append(f"{op.id} {', '.join(dials)}".replace(", ", " (", 1) + ")" * (len(dials) > 1))
    return ", ".join(words) or "unchanged"


def apply_pil(steps: Sequence[Step], image: Image.Image) -> Image.Image:
    """One step after the other by their Pillow forms, nothing fused: the meaning of a recipe."""
    for step in steps:
        op, values = resolve(step)
        image = op.pil(image, **values)
    return image
