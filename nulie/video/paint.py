"""What recipes do to the frames of a film: by libav's filters where tables are all that it takes,
else through the door that every recipe goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..engine import pipeline
from ..image_io import Photo
from ..jobs.coloring import OP as COLORIZE
from ..recipe import ModelStep, Recipe
from ..transforms import table_of
from . import filters
from .pixels import Pixels
from .source import Facts

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from ..restore.color_series import Series

FADE = 8
"""Frames over which one recipe becomes the next, where a film changes without a cut."""


@dataclass(frozen=True)
class Stretch:
    """Frames with one recipe, frozen."""

    begin: int
    """Number of its first frame, from 0."""
    recipe: Recipe
    cut: bool = True
    """Whether it begins with a cut, at which nothing is faded: what was before is not seen any
    more, and would only be seen to change what comes."""


class Painter:
    """Does to each frame what the stretch asks for in which it lies; may be called from several
    threads."""

    def __init__(
        self, facts: Facts, pix_fmt: str, stretches: Sequence[Stretch], models: Any
    ) -> None:
        """`stretches` in their order, the first from frame 0; `pix_fmt` is what is encoded."""
        self._pixels = Pixels(facts, pix_fmt)
        self._facts, self._pix_fmt = facts, pix_fmt
        self._models = _Carrying(models)
        self._stretches = stretches
        self._at = 0
        self._chains: dict[Recipe, filters.Chain] = {}

    def recipes_of(self, number: int) -> tuple[Recipe, Recipe, float]:
        """Two recipes and the share of the second. Numbers never fall from call to call."""
        stretches = self._stretches
        while self._at + 1 < len(stretches) and number >= stretches[self._at + 1].begin:
            self._at += 1
        here = stretches[self._at].recipe
        for at in (self._at, self._at + 1):
            if 0 < at < len(stretches) and not stretches[at].cut:
                past = number - stretches[at].begin + FADE / 2
                if 0 <= past < FADE:
                    before, after = stretches[at - 1].recipe, stretches[at].recipe
                    return before, after, (past + 0.5) / FADE
        return here, here, 0.0

    @property
    def scene(self) -> int:
        """Number of the last cut before the frame that was asked for last."""
        return sum(stretch.cut for stretch in self._stretches[: self._at + 1])

    def quick(self, recipe: Recipe) -> filters.Chain | None:
        """The filters that do all of a recipe; None where there is more to do than they can."""
        if self._facts.deep or (recipe == Recipe() and not self._same_format):
            return None
        if recipe not in self._chains:
            table = table_of(recipe)
            if table is None:
                return None
            to, back = filters.to_rgb(self._facts), filters.from_rgb(self._facts, self._pix_fmt)
            steps = [*to, *filters.by_table(table), *back]
            self._chains = {recipe: filters.of_film(self._facts, steps)}
        return self._chains[recipe]

    @property
    def _same_format(self) -> bool:
        return self._facts.pix_fmt == self._pix_fmt

    def paint(
        self, frame: VideoFrame, recipes: tuple[Recipe, Recipe, float], scene: int = 0
    ) -> VideoFrame:
        """A new frame, or the same one where nothing is done. Colours are carried along within a
        `scene`, whose frames come in their order. Raises: as `pipeline.apply`."""
        before, after, share = recipes
        self._models.begin(scene)
        if before == after == Recipe() and self._same_format:
            return frame
        photo = self._pixels.photo(frame)
        made = pipeline.apply(before, photo, self._models)
        if before != after:
            made = _mixed(made, pipeline.apply(after, photo, self._models), share)
        return self._pixels.frame(made, frame)


class _Carrying:
    """The models of recipes, but for those that colour, which look at frames before, too."""

    def __init__(self, models: Any) -> None:
        self._models = models
        self._scene: int | None = None
        self._series: Series | None = None

    def begin(self, scene: int) -> None:
        if scene != self._scene and self._series is not None:
            self._series.begin()
        self._scene = scene

    def restorer(self, step: ModelStep) -> pipeline.Restore:
        if step.op != COLORIZE:
            restore: pipeline.Restore = self._models.restorer(step)
            return restore
        from ..restore.color_series import Series

        self._series = self._series or Series()
        carry, params = self._series.restore, dict(step.params)
        colorist = self._models.colorist(step.model, named_only=True)
        return lambda photo: carry(photo, colorist, params)


def colors(recipe: Recipe) -> bool:
    return any(step.op == COLORIZE for step in recipe.before)


def _mixed(before: Photo, after: Photo, share: float) -> Photo:
    deep = before.deep
    if deep is not None and after.deep is not None:
        levels = deep + np.float32(share) * (after.deep.astype(np.float32) - deep)
        deep = (levels + np.float32(0.5)).astype(np.uint16)
    pixels = Image.blend(before.pixels, after.pixels, share)
    return replace(before.with_pixels(pixels), deep=deep)
