"""What an op is: its dials, its exact Pillow form and one for batches, and what it measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import RecipeError
from ..recipe import Carried, Dial, Recipe, Step
from ..recipe.space import declare, unknown

if TYPE_CHECKING:
    import torch
    from PIL import Image

Values = Mapping[str, npt.NDArray[np.float64]]
"""Dial name -> `[B]` values, one for each image of a batch."""
Measured = Mapping[str, npt.NDArray[Any]]
"""Statistic's name -> `[B, *shape]` whole numbers."""
Tables = npt.NDArray[Any]
"""`[B, 3, N]`, or `[B, 1, N]` where the three channels share one table: what becomes of N levels.
Of whole ones come uint8, rounded or cut as Pillow does it; of floats come floats within 0..255."""
Table = Callable[[Values, Measured, npt.NDArray[Any]], Tables]
RAMP = np.arange(256)
"""The levels of 8 bits."""
Need = Literal["nothing", "grey mean", "histogram", "histograms", "short side"]


@dataclass(frozen=True)
class Statistic:
    """Whole numbers that an op measures, and a frozen step carries."""

    name: str
    shape: tuple[int, ...] = ()
    """Of what is measured of one image: `()`, or `[3]` with one number a channel, or `[3, 256]`
    with a table of levels."""
    low: int = 0
    high: int = 255

    def pack(self, values: npt.NDArray[Any]) -> Carried:
        """One image's, `[*shape]`, as a step carries them."""
        if len(self.shape) == 2:
            return values.astype(np.uint8).tobytes()
        plain = values.astype(int).tolist()
        return tuple(plain) if self.shape else int(plain)

    def unpack(self, carried: Carried) -> npt.NDArray[np.int64]:
        """The inverse of `pack`. Raises: RecipeError on what `pack` does not give."""
        if isinstance(carried, bytes):
            values, dimensions = np.frombuffer(carried, np.uint8).astype(float), 2
        else:
            values = np.array(carried, float)
            dimensions = values.ndim
        right = dimensions == len(self.shape) and values.size == np.prod(self.shape, dtype=int)
        if not (right and (values == np.clip(values, self.low, self.high).round()).all()):
            kind = {(): "a whole number", (3,): "three whole numbers"}.get(self.shape, "a table")
            raise RecipeError(f"frozen {self.name} must be {kind} within {self.low}..{self.high}")
        return values.astype(np.int64).reshape(self.shape)


@dataclass(frozen=True)
class Op:
    """One operation in two forms that do the same: `pil`, and either `table` or `tensor`. `measure`
    looks at an image, the forms do with what was measured the same to any image."""

    id: str
    help: str
    dials: tuple[Dial, ...]
    pil: Callable[..., Image.Image]
    """(RGB image, **values) -> new RGB image of the same size: the truth. Of an op without a table
    it takes what was measured, too, by name; it measures for itself where that is not given."""
    table: Table | None = None
    """For an op that maps levels: (values, measured, levels `[N]` or `[3, N]`) -> what becomes of
    them; of `RAMP` tables that give the bytes of `pil`."""
    needs: Need = "nothing"
    """What `measure` looks at. `grey mean`: `[B]` mean of Pillow's mode L; `histogram`:
    `[B, 3, 256]` counts; `histograms`: `[B, 4, 256]`, that of mode L besides; `short side`: `[B]`
    pixels."""
    measures: tuple[Statistic, ...] = ()
    measure: Callable[[Values, npt.NDArray[Any]], Measured] = lambda values, seen: {}
    """(values, what the op needs) -> measured."""
    tensor: Callable[[torch.Tensor, Values, Measured], torch.Tensor] | None = None
    """For every other op: (`[B, 3, H, W]` uint8, values, measured) -> the same shape."""
    deep: Callable[..., npt.NDArray[np.float32]] | None = None
    """For the same: (`[H, W, 3]` float32 levels of 255, **values, **measured) -> the same shape,
    neither rounded nor held within 0..255, for 16 bits a channel. Without it those change by as
    much as 8 do."""
    grain: Callable[..., torch.Tensor] | None = None
    """For an op that looks at a pixel's neighbours, what it does to a pixel of which no more is
    known than its value in the blurred photo: (pixels `[B, 3, 1, N]` uint8, the same of the photo
    blurred by `SHARPNESS_RADIUS`, values) -> pixels."""
    reach: Callable[[Values, Measured], int] | None = None
    """For the same: how many pixels away a neighbour may be, at most, that has a say."""
    tolerance: int = 0
    """Largest difference, in levels of 255, between `tensor` and `pil`."""


_OPS: dict[str, Op] = {}


def register(*added: Op) -> None:
    """Raises: ValueError on an op without exactly one batch form, one that needs something and
    measures nothing, or what `space.declare` refuses; it and what follows it are not added."""
    for op in added:
        if (op.table is None) == (op.tensor is None):
            raise ValueError(f"{op.id}: needs a table form or a tensor form, not both")
        if (op.needs == "nothing") != (not op.measures):
            count = len(op.measures)
            raise ValueError(f"{op.id}: needs {op.needs} and measures {count} statistics")
        declare(op.id, op.dials)
        _OPS[op.id] = op


def ops() -> Mapping[str, Op]:
    """Every op by its id, in the order of registration."""
    return MappingProxyType(_OPS)


def get(op_id: str) -> Op:
    """Raises: RecipeError that names the known ops when `op_id` is not one of them."""
    try:
        return _OPS[op_id]
    except KeyError:
        raise RecipeError(unknown(op_id)) from None


def resolve(step: Step) -> tuple[Op, dict[str, float]]:
    """The op of a step and all its values, neutral ones filled in.

    Raises: RecipeError on an unknown op or dial, or a value out of range (NaN included)."""
    op = get(step.op)
    given = dict(step.params)
    values = {}
    for dial in op.dials:
        value = given.pop(dial.name, dial.neutral)
        if not dial.low <= value <= dial.high:
            bounds = f"{dial.low:g}..{dial.high:g}"
            raise RecipeError(f"{op.id}: {dial.name}={value:g} is outside {bounds}")
        if dial.step == 1 and value != round(value):
            raise RecipeError(f"{op.id}: {dial.name}={value:g} is no whole number")
        values[dial.name] = value
    if given:
        names = ", ".join(d.name for d in op.dials) or "none"
        raise RecipeError(f"{op.id} has no dial {', '.join(given)}; it has: {names}")
    return op, values


def statistics_of(op: Op, step: Step) -> Measured | None:
    """What a frozen step carries, each `[1, *shape]`; else None. Raises: RecipeError."""
    if step.frozen is None:
        return None
    given, names = dict(step.frozen), [s.name for s in op.measures]
    if set(given) != set(names):
        raise RecipeError(
            f"{op.id}: when frozen it carries {' and '.join(names) or 'nothing'},"
            f" and here {' and '.join(given) or 'nothing'}"
        )
    try:
        return {s.name: s.unpack(given[s.name])[None] for s in op.measures}
    except RecipeError as e:
        raise RecipeError(f"{op.id}: {e}") from None


def freeze_step(op: Op, step: Step, measured: Measured) -> Step:
    pairs = ((s.name, s.pack(measured[s.name][0])) for s in op.measures)
    return Step(step.op, step.params, tuple(sorted(pairs)))


def as_batch(values: Mapping[str, float]) -> Values:
    return {name: np.array([value]) for name, value in values.items()}


def check(recipe: Recipe) -> Recipe:
    """The recipe. Raises: RecipeError when an op cannot be applied; models are not looked at."""
    for number, step in enumerate(recipe.steps, 1 + len(recipe.before)):
        try:
            op, _ = resolve(step)
            statistics_of(op, step)
        except RecipeError as e:
            raise RecipeError(f"step {number} of the recipe: {e}") from None
    return recipe


def ops_of(recipe: Recipe) -> tuple[Step, ...]:
    """The recipe's steps. Raises: RecipeError when some are a model's, not to pass them over."""
    if recipe.before or recipe.after:
        model = (*recipe.before, *recipe.after)[0]
        raise RecipeError(f"{model}: this step needs a model, and here only ops can be applied")
    return recipe.steps


def apply_pil(steps: Sequence[Step], image: Image.Image) -> Image.Image:
    """One step after the other by their Pillow forms, nothing fused: the meaning of a recipe."""
    for step in steps:
        op, values = resolve(step)
        measured = statistics_of(op, step) or {}
        if measured and op.table is not None:
            table = np.broadcast_to(op.table(as_batch(values), measured, RAMP)[0], (3, 256))
            image = image.point(table.ravel().tolist())
        else:
            image = op.pil(image, **values, **{name: m.item() for name, m in measured.items()})
    return image
