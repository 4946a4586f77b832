"""A recipe's ops on an image at full size. A run of table ops is one look-up, however long."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import RecipeError
from ..recipe import Recipe, Step
from .base import RAMP, Need, as_batch, freeze_step, ops_of, resolve, statistics_of

_DEEP_RAMP = np.arange(65536) / 257


def render(recipe: Recipe, image: Image.Image) -> Image.Image:
    """The bytes that the steps' Pillow forms give one after the other.

    `image` is RGB and stays as it is; the result is a new image of its size.
    Raises: RecipeError on a step that cannot be applied, a model's among them."""
    levels = _Levels(image)
    for step in ops_of(recipe):
        levels.apply(step)
    result = levels.image()
    return result.copy() if result is image else result


def render_deep(
    recipe: Recipe, image: Image.Image, deep: npt.NDArray[np.uint16]
) -> npt.NDArray[np.uint16]:
    """What the recipe makes of `deep`, `[H, W, C]` uint16 with red, green, blue and what no op
    touches; a new array. `image` is the same picture at 8 bits.

    The truth at 16 bits: each op does by its formula, in floats, what it does at 8 bits, with what
    it measures there; levels count as 257ths of those of 8 bits. A table has 65,536 entries, a run
    of them is one without a rounding in between, and other ops round to 16 bits. So an 8-bit
    picture written with 16 gives what it gives at 8, but for what that loses to rounding: less than
    a level wherever an op rounds once. Raises: RecipeError as `render` does."""
    curve, out = _DEEP_RAMP, np.array(deep)
    for step in freeze(Recipe(ops_of(recipe)), image).steps:
        op, values = resolve(step)
        measured = statistics_of(op, step) or {}
        if op.table is not None:
            curve = op.table(as_batch(values), measured, curve)[0]
            continue
        _look_up(out, curve)
        curve = _DEEP_RAMP
        plain = {name: m.item() for name, m in measured.items()}
        levels = out[..., :3].astype(np.float32) / np.float32(257)
        if op.deep is not None:
            levels = op.deep(levels, **values, **plain)
        else:
            whole = (levels + np.float32(0.5)).astype(np.uint8)
            levels += np.asarray(op.pil(Image.fromarray(whole), **values, **plain))
            levels -= whole
        out[..., :3] = _to_deep(levels)
    _look_up(out, curve)
    return out


def _look_up(deep: npt.NDArray[np.uint16], curve: npt.NDArray[Any]) -> None:
    if curve is not _DEEP_RAMP:
        for channel, table in enumerate(np.broadcast_to(_to_deep(curve), (3, 65536))):
            deep[..., channel] = table[deep[..., channel]]


def _to_deep(levels: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    deep: npt.NDArray[np.uint16] = (levels * 257 + 0.5).clip(0, 65535).astype(np.uint16)
    return deep


def freeze(recipe: Recipe, image: Image.Image, *others: Image.Image) -> Recipe:
    """The recipe with what its ops measure of this image, and of what the steps before have made of
    it: on any other it then does the same. Steps that are frozen already stay as they are. With
    `others` all are measured together, as if they were parts of one; lengths are those of `image`.

    Images are RGB: what comes to the ops, after the models that stand before them.
    Raises: RecipeError on a step that cannot be applied."""
    levels = _Levels(image, *others)
    return Recipe(tuple(levels.apply(s) for s in recipe.steps), recipe.before, recipe.after)


def table_of(recipe: Recipe) -> npt.NDArray[np.uint8] | None:
    """`[3, 256]`: all that a recipe does, where it is frozen and each of its ops maps levels; else
    None. Raises: RecipeError on a step that cannot be applied."""
    made = np.tile(RAMP.astype(np.uint8), (3, 1))
    for step in recipe.steps:
        op, values = resolve(step)
        measured = statistics_of(op, step)
        if op.table is None or (op.measures and measured is None):
            return None
        table = np.broadcast_to(op.table(as_batch(values), measured or {}, RAMP)[0], (3, 256))
        made = np.take_along_axis(table, made.astype(int), -1)
    return None if recipe.before or recipe.after else made


def halo(recipe: Recipe) -> int:
    """How many pixels around a tile have a say in it: rendered with so much of the image around it,
    which is then cut off, a tile is what it is in the whole image.

    Raises: RecipeError on a recipe that is not frozen, or a step that cannot be applied."""
    pixels = 0
    for step in recipe.steps:
        op, values = resolve(step)
        measured = statistics_of(op, step)
        if measured is None:
            raise RecipeError(f"{op.id} measures each tile anew; freeze the recipe first")
        if op.reach is not None:
            pixels += op.reach(as_batch(values), measured)
    return pixels


class _Levels:
    """Images under a table that has not been applied to them yet."""

    def __init__(self, *images: Image.Image) -> None:
        self._images = images
        self._table: npt.NDArray[np.uint8] | None = None

    def apply(self, step: Step) -> Step:
        op, values = resolve(step)
        batch = as_batch(values)
        measured = statistics_of(op, step)
        if measured is None:
            measured = op.measure(batch, self._look(op.needs))
            step = freeze_step(op, step, measured)
        if op.table is not None:
            self._map(op.table(batch, measured, RAMP)[0])
        else:
            plain = {name: m.item() for name, m in measured.items()}
            self._images = tuple(op.pil(image, **values, **plain) for image in self.images())
        return step

    def image(self) -> Image.Image:
        return self.images()[0]

    def images(self) -> tuple[Image.Image, ...]:
        if self._table is not None:
            table = self._table.ravel().tolist()
            self._images = tuple(image.point(table) for image in self._images)
            self._table = None
        return self._images

    def _map(self, table: npt.NDArray[np.uint8]) -> None:
        table = np.broadcast_to(table, (3, 256))
        if self._table is not None:
            table = np.take_along_axis(table, self._table.astype(int), -1)
        self._table = table

    def _look(self, need: Need) -> npt.NDArray[Any]:
        """What an op needs of the image as it would be with the table applied; see `Op.needs`."""
        if need == "grey mean":
            counts = self._counts("L")
            return np.array([(counts * np.arange(256)).sum() / counts.sum()])
        if need in ("histogram", "histograms"):
            modes = ("RGB", "L") if need == "histograms" else ("RGB",)
            counts = np.concatenate([self._counts(mode) for mode in modes])
            return counts.reshape(1, -1, 256)
        return np.array([min(self._images[0].size) if need == "short side" else 0])

    def _counts(self, mode: str) -> npt.NDArray[Any]:
        """The histogram of all images together, in this mode."""
        each = (image if image.mode == mode else image.convert(mode) for image in self.images())
        counts: npt.NDArray[Any] = np.sum([image.histogram() for image in each], 0)
        return counts
