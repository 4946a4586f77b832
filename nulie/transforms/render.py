"""A recipe on an image at full size. A run of table ops is one look-up, whatever its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..recipe import Recipe
from .base import Op, resolve


def render(recipe: Recipe, image: Image.Image) -> Image.Image:
    """The bytes that the steps' Pillow forms give one after the other.

    `image` is RGB and stays as it is; the result is a new image of its size.
    Raises: RecipeError on a step that cannot be applied."""
    levels = _Levels(image)
    for step in recipe.steps:
        op, values = resolve(step)
        if op.table is None:
            levels = _Levels(op.pil(levels.image(), **values))
        else:
            arrays = {name: np.array([value]) for name, value in values.items()}
            levels.map(op.table(arrays, levels.measure(op))[0])
    result = levels.image()
    return result.copy() if result is image else result


class _Levels:
    """An image under a table that has not been applied to it yet."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        self._table: npt.NDArray[np.uint8] | None = None

    def map(self, table: npt.NDArray[np.uint8]) -> None:
        table = np.broadcast_to(table, (3, 256))
        self._table = (
            table if self._table is None else np.take_along_axis(table, self._table.astype(int), -1)
        )

    def image(self) -> Image.Image:
        if self._table is not None:
            self._image = self._image.point(self._table.ravel().tolist())
            self._table = None
        return self._image

    def measure(self, op: Op) -> npt.NDArray[Any]:
        """The statistics that the op needs, of the image as it would be with the table applied."""
        if op.needs == "nothing":
            return np.empty(0)
        if op.needs == "grey mean":
            counts = np.array(self.image().convert("L").histogram())
            return np.array([(counts * np.arange(256)).sum() / counts.sum()])
        return np.array(self.image().histogram()).reshape(1, 3, 256)
