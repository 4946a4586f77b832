"""Recipes on a small preview of the whole photo, many at once. A frozen step brings its own
statistics; its lengths alone are shares of the preview's short side all the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ..recipe import Recipe, Step
from .base import RAMP, Measured, Need, Op, Values, ops_of, resolve, statistics_of
from .color import grey
from .sample import Sample

MAX_ASPECT = 8
"""Longer images are squeezed to this ratio, which keeps a preview's size bounded."""

CACHE_BYTES = 128 << 20
"""For previews that are remembered, on the device."""


REDUCED_FIRST = 6.0
"""From twice so many times a preview's sides on, whole blocks of an image are averaged first, down
to so many times. It makes a sixth of the time of 12 megapixels, and moves a level by 0.1 on
average, 4 at most."""


def shrink(image: Image.Image, short_side: int) -> torch.Tensor:
    """RGB image of any size -> `[3, H, W]` uint8 preview, min(H, W) = `short_side`.

    Bicubic with antialiasing and the size rule of torchvision's Resize, so the preview is what
    CLIP's own preprocessing sees before its crop; of large images nearly, see `REDUCED_FIRST`."""
    short, long = sorted(image.size)
    long = min(int(short_side * long / short), MAX_ASPECT * short_side)
    size = (short_side, long) if image.width <= image.height else (long, short_side)
    small = image
    if image.size != size:
        small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=REDUCED_FIRST)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()


def to_image(preview: torch.Tensor) -> Image.Image:
    """`[3, H, W]` uint8 -> RGB image."""
    return Image.fromarray(preview.permute(1, 2, 0).contiguous().cpu().numpy())


class Renderer:
    """Renders recipes on one photo's preview and remembers what it rendered last, so that a child
    of a known recipe costs its own step alone. May be called from several threads."""

    def __init__(
        self, preview: torch.Tensor, sample: Sample | None = None, *,
        count: int = 1, cache_bytes: int = CACHE_BYTES,
    ) -> None:  # fmt: skip
        """`preview` is `[3, H, W]` uint8, or a sheet of `count` pictures of one size, one below the
        other, which are measured together; results lie on its device, and so does the memory that
        `cache_bytes` bounds. With a `sample` of the photo, histograms are the photo's; without,
        the preview's own."""
        self._shape, self._count = preview.shape[1:], count
        # The sample's pixels and their blurred selves lie behind the preview's, and most ops do the
        # same to all.
        origin = preview.flatten(1)
        self._weights = torch.ones((), dtype=torch.int32, device=origin.device)
        self._sampled = 0
        if sample is not None:
            parts = (sample.pixels, sample.blurred, sample.weights)
            own, blurred, self._weights = (
                torch.from_numpy(np.ascontiguousarray(part)).to(origin.device) for part in parts
            )
            origin = torch.cat([origin, own, blurred], 1)
            self._sampled = len(sample.weights)
        self._entries = max(2, cache_bytes // origin.numel())
        self._cache: OrderedDict[tuple[Step, ...], torch.Tensor] = OrderedDict({(): origin})
        self._origin = origin
        self._lock = threading.Lock()

    def __call__(self, recipes: Sequence[Recipe]) -> torch.Tensor:
        """`[B, 3, H, W]` uint8, one preview a recipe, with the bytes of the ops' Pillow forms (up
        to an op's stated tolerance). Raises: RecipeError on a step that cannot be applied."""
        starts, todo = [], []
        with self._lock:
            for recipe in recipes:
                start, known = self._start(ops_of(recipe))
                starts.append(start)
                todo.append([_resolve(step) for step in recipe.steps[known:]])
        batch = self._apply(torch.stack(starts), todo)
        with self._lock:
            for row, recipe in enumerate(recipes):
                self._remember(recipe.steps, batch[row])
        return self._previews(batch)

    def _previews(self, batch: torch.Tensor) -> torch.Tensor:
        seen = batch[..., : self._shape.numel()]
        return seen.view(*batch.shape[:-1], *self._shape)

    def _start(self, steps: tuple[Step, ...]) -> tuple[torch.Tensor, int]:
        """The longest beginning of `steps` that is remembered: its preview and its length."""
        for known in range(len(steps), 0, -1):
            found = self._cache.get(steps[:known])
            if found is not None:
                self._cache.move_to_end(steps[:known])
                return found, known
        return self._origin, 0

    def _remember(self, steps: tuple[Step, ...], preview: torch.Tensor) -> None:
        if steps not in self._cache:
            self._cache[steps] = preview.clone()  # a view would keep its whole batch alive
            if len(self._cache) > self._entries:
                self._cache.popitem(last=False)

    def _apply(self, batch: torch.Tensor, todo: Sequence[Sequence[Resolved]]) -> torch.Tensor:
        """Applies its steps to each row of `[B, 3, pixels]`, in rounds of one step a row, a round's
        rows grouped by op. Tables wait in `tables` until something must read the pixels."""
        tables = _Tables(len(batch))
        for depth in range(max(map(len, todo), default=0)):
            groups = _group(todo, depth)
            batch = tables.flush(batch, [row for g in groups if g.reads_pixels for row in g.rows])
            for group in groups:
                op, rows, values = group.op, group.rows, group.values()
                if group.measures:
                    measured = op.measure(values, self._look(op.needs, batch, rows))
                else:
                    measured = group.carried()
                if op.table is not None:
                    tables.map(rows, op.table(values, measured, RAMP))
                else:
                    batch[rows] = self._apply_tensor(op, batch[rows], values, measured)
        return tables.flush(batch, list(range(len(batch))))

    def _apply_tensor(
        self, op: Op, part: torch.Tensor, values: Values, measured: Measured
    ) -> torch.Tensor:
        assert op.tensor is not None  # an op has a table or this
        if op.grain is None:
            return op.tensor(part[:, :, None], values, measured)[:, :, 0]
        after = [self._each(op, self._previews(part), values, measured).flatten(2)]
        if self._sampled:
            sampled = part[:, :, None, -2 * self._sampled :]
            own, blurred = sampled[..., : self._sampled], sampled[..., self._sampled :]
            after += [op.grain(own, blurred, values)[:, :, 0], blurred[:, :, 0]]
        return torch.cat(after, -1)

    def _each(
        self, op: Op, sheets: torch.Tensor, values: Values, measured: Measured
    ) -> torch.Tensor:
        """An op that looks at neighbours, which no picture of a sheet has in another one."""
        assert op.tensor is not None
        if self._count == 1:
            return op.tensor(sheets, values, measured)
        rows, count = len(sheets), self._count
        height, width = self._shape[0] // count, self._shape[1]
        apart = sheets.view(rows, 3, count, height, width).transpose(1, 2).flatten(0, 1)
        values, measured = (
            {name: np.repeat(each, count, 0) for name, each in given.items()}
            for given in (values, measured)
        )
        made = op.tensor(apart, values, measured).view(rows, count, 3, height, width)
        return made.transpose(1, 2).flatten(2, 3)

    def _look(self, need: Need, batch: torch.Tensor, rows: list[int]) -> npt.NDArray[Any]:
        """What an op needs, of these rows; see `Op.needs`."""
        if need == "nothing":
            return np.empty(0)
        if need == "short side":
            height, width = self._shape
            return np.full(len(rows), min(height // self._count, width))
        part = batch[rows]
        if need == "grey mean":
            seen = grey(self._previews(part)).flatten(1)
            return (seen.sum(1).double() / seen.shape[1]).cpu().numpy()
        if self._sampled:
            part = part[..., -2 * self._sampled : -self._sampled]
        if need == "histograms":
            part = torch.cat([part, grey(part[:, :, None])[:, :, 0].to(part.dtype)], 1)
        levels = part.flatten(0, 1).long()
        # Whole numbers, so that the order in which a device adds them does not matter.
        counts = self._weights.new_zeros(len(levels), 256)
        counts.scatter_add_(1, levels, self._weights.expand_as(levels))
        return counts.view(len(rows), -1, 256).long().cpu().numpy()


Resolved = tuple[Op, dict[str, float], Measured | None]
"""An op, its values, and what its step carries if it is frozen."""


def _resolve(step: Step) -> Resolved:
    op, values = resolve(step)
    carried = statistics_of(op, step)
    # Lengths are shares of the preview's short side, whatever they are in pixels of its photo.
    return op, values, None if op.needs == "short side" else carried


@dataclass(frozen=True)
class _Group:
    op: Op
    measures: bool
    rows: list[int]
    steps: list[Resolved]

    @property
    def reads_pixels(self) -> bool:
        return bool(self.op.tensor) or (self.measures and self.op.needs != "nothing")

    def values(self) -> Values:
        return {d.name: np.array([values[d.name] for _, values, _ in self.steps])
                for d in self.op.dials}  # fmt: skip

    def carried(self) -> Measured:
        known = [carried for _, _, carried in self.steps if carried is not None]
        return {name: np.concatenate([each[name] for each in known]) for name in known[0]}


def _group(todo: Sequence[Sequence[Resolved]], depth: int) -> list[_Group]:
    groups: dict[tuple[str, bool], _Group] = {}
    for row, steps in enumerate(todo):
        if depth < len(steps):
            op, _, carried = steps[depth]
            new = _Group(op, carried is None, [], [])
            group = groups.setdefault((op.id, carried is None), new)
            group.rows.append(row)
            group.steps.append(steps[depth])
    return list(groups.values())


class _Tables:
    """For each row of a batch a look-up table that has not been applied to it yet."""

    def __init__(self, rows: int) -> None:
        self._tables = np.empty((rows, 3, 256), np.uint8)
        self._waiting = np.zeros(rows, bool)

    def map(self, rows: list[int], tables: npt.NDArray[np.uint8]) -> None:
        tables = np.broadcast_to(tables, (len(rows), 3, 256))
        for row, table in zip(rows, tables, strict=True):
            if self._waiting[row]:
                table = np.take_along_axis(table, self._tables[row].astype(np.intp), -1)
            self._tables[row] = table
            self._waiting[row] = True

    def flush(self, batch: torch.Tensor, rows: list[int]) -> torch.Tensor:
        rows = sorted(r for r in rows if self._waiting[r])  # in the order of the batch
        if not rows:
            return batch
        self._waiting[rows] = False
        tables = torch.from_numpy(self._tables[rows]).to(batch.device)
        part = batch if len(rows) == len(batch) else batch[rows]
        looked_up = tables.gather(2, part.flatten(2).long()).view(part.shape)
        if part is batch:
            return looked_up
        batch[rows] = looked_up
        return batch
