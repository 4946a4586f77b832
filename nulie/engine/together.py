"""Several pictures of one size that are to have one recipe: their previews one below the other, and
their marks together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from PIL import Image

from ..predictor.base import Predictor
from ..recipe.settings import Settings
from ..transforms.preview import shrink
from .objective import Objective, Terms
from .overdone import yield_guards


def sheet(images: Sequence[Image.Image], short_side: int) -> torch.Tensor:
    """`[3, K * H, W]` uint8: the previews of K images of one size, one below the other."""
    return torch.cat([shrink(image, short_side) for image in images], 1)


class Together:
    """An `Objective` for sheets: the mean of what the pictures are worth, each with guards of its
    own. Where one picture's guard refuses, all are worth less than they were."""

    def __init__(
        self, predictor: Predictor, preview: torch.Tensor, settings: Settings,
        images: Sequence[Image.Image], *, margin: float = 0.0,
    ) -> None:  # fmt: skip
        """`preview`: the sheet of `images`, as the predictor wants it."""
        self._count = len(images)
        parts = zip(self._parts(preview[None]), images, strict=True)
        self._each = [
            Objective(predictor, part[0], yield_guards(settings, image)[0], margin=margin)
            for part, image in parts
        ]
        self.base = _mean([objective.base for objective in self._each], None)

    def exactly(self) -> Together:
        """The same without a margin."""
        twin = copy.copy(self)
        twin._each = [objective.exactly() for objective in self._each]
        return twin

    def __call__(self, batch: torch.Tensor) -> list[Terms]:
        """Marks of `[B, 3, K * H, W]` uint8 sheets."""
        parts = zip(self._each, self._parts(batch), strict=True)
        columns = [objective(part) for objective, part in parts]
        return [_mean(row, self.base) for row in zip(*columns, strict=True)]

    def totals(self, batch: torch.Tensor) -> Sequence[float]:
        """`total` alone."""
        return [terms.total for terms in self(batch)]

    def _parts(self, batch: torch.Tensor) -> Sequence[torch.Tensor]:
        return [part.contiguous() for part in batch.chunk(self._count, 2)]


def _mean(row: Sequence[Terms], base: Terms | None) -> Terms:
    means: dict[str, Any] = {}
    for field in fields(Terms):
        known = [v for terms in row if (v := getattr(terms, field.name)) is not None]
        means[field.name] = sum(known) / len(known) if known else None
    means["admissible"] = all(terms.admissible for terms in row)
    if base is not None and not means["admissible"]:
        # What one loses is not made up for by what the others gain.
        lost = sum(min(0.0, t.total - base.total) for t in row if not t.admissible) / len(row)
        means["total"] = min(means["total"], base.total + lost)
    return Terms(**means)
