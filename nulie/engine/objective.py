"""What the search maximises: a predictor's score, less what the guards take off. Every path of the
search goes through here, and every term is in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..color import lab
from ..predictor.base import Predictor
from ..recipe.settings import Settings

POINTS_PER_DARKENING = 6.0
"""The original's penalty: 6 points times the share of light that is gone."""
MIN_SKIN_LIGHT = 0.96
"""Least mean lightness of skin-coloured pixels, as a share of the input's."""
SEARCH_MARGIN = 0.01
"""How much stricter the guards are during the search: a preview and the full size differ a little,
and the best candidates lie on the edge of what is allowed."""
MIN_SKIN_SHARE = 0.005
"""With less skin than this share of the pixels the skin guard has nothing to hold on to."""


@dataclass(frozen=True)
class Terms:
    """One candidate's marks. `total` decides; the rest says how it came about."""

    total: float
    score: float
    """What the predictor says."""
    light: float
    """Mean light as a share of the input's."""
    content: float
    """Drift from the input: 1 - cosine similarity of the embeddings, or, of a predictor without
    embeddings, the mean difference of the pixels in 0..1."""
    skin: float | None
    """Mean lightness (L*) of the pixels that are skin-coloured in the input, as a share of what
    it was there; None where there is no skin or the guard is off."""
    admissible: bool
    """Whether the light and skin guards are content."""


class Objective:
    """Marks candidates made from one photo.

    A candidate that a guard refuses is worth no more than the input, less 6 points times the
    darkening: it cannot win, and among its like the less dark is the better (Deb's rule for
    constraints, 2000). Content drift costs `keep_content` points a unit.
    """

    def __init__(
        self,
        predictor: Predictor,
        preview: torch.Tensor,
        settings: Settings,
        *,
        margin: float = 0.0,
    ) -> None:
        """`preview`: the input's, `[3, H, W]` uint8, as the predictor wants it. `margin` is added
        to the shares that the light and skin guards ask for."""
        self._settings = settings
        self._min_light = min(settings.min_light + margin, 1.0) if settings.min_light else 0.0
        self._min_skin = MIN_SKIN_LIGHT + margin
        self._judge = predictor.judge(preview)
        self._preview = preview[None]
        self._light = _light(self._preview).clamp(min=1e-6)
        self._skin = _skin_pixels(preview) if settings.protect_skin else None
        if self._skin is not None:
            self._skin_light = self._lightness(self._preview).clamp(min=1e-6)
        first = self._judge(self._preview)
        self._embedding = first.embeddings
        self._base_score = first.scores
        self.base = self(self._preview)[0]
        """The input's own marks."""

    def __call__(self, batch: torch.Tensor) -> list[Terms]:
        """Marks of `[B, 3, H, W]` uint8 candidates of the preview's size."""
        columns = self._columns(batch)
        rows = torch.stack([c.float() for c in columns]).cpu().T.tolist()
        has_skin = self._skin is not None
        return [
            Terms(total, score, light, content, skin if has_skin else None, bool(admissible))
            for total, score, light, content, skin, admissible in rows
        ]

    def totals(self, batch: torch.Tensor) -> Sequence[float]:
        """`total` alone, which is all that a search needs; read back from the device when the
        first one is looked at."""
        return _Lazy(self._columns(batch)[0])

    def _columns(self, batch: torch.Tensor) -> Sequence[torch.Tensor]:
        prediction = self._judge(batch)
        light = (_light(batch) / self._light).to(prediction.scores.device)
        skin = torch.ones_like(light)
        if self._skin is not None:
            skin = (self._lightness(batch) / self._skin_light).to(light.device)
        # Zero where a guard has nothing to say.
        dark = (1 - light) * (light < self._min_light)
        dark = dark + (1 - skin) * (skin < self._min_skin)
        if self._embedding is not None and prediction.embeddings is not None:
            content = 1 - (prediction.embeddings * self._embedding).sum(-1)
        elif self._settings.keep_content > 0:
            content = _difference(batch, self._preview).to(light.device)
        else:
            content = torch.zeros_like(light)
        total = prediction.scores - self._settings.keep_content * content
        admissible = dark <= 0
        refused = torch.minimum(total, self._base_score) - POINTS_PER_DARKENING * dark
        total = torch.where(admissible, total, refused)
        return total, prediction.scores, light, content, skin, admissible

    def _lightness(self, batch: torch.Tensor) -> torch.Tensor:
        """`[B]` mean L* of the pixels that are skin in the input."""
        return lab(batch.flatten(2)[:, :, self._skin])[:, 0].mean(1)


class _Lazy(Sequence[float]):
    """Numbers of a `[B]` tensor, fetched all at once when one of them is wanted."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor: torch.Tensor | None = tensor
        self._length = len(tensor)
        self._values: list[float] = []

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, at: Any) -> Any:
        if self._tensor is not None:
            self._values, self._tensor = self._tensor.tolist(), None
        return self._values[at]


def _light(batch: torch.Tensor) -> torch.Tensor:
    """`[B]` mean of all channels of all pixels, 0..255."""
    return batch.flatten(1).sum(1, dtype=torch.int32) / batch[0].numel()


def _difference(batch: torch.Tensor, preview: torch.Tensor) -> torch.Tensor:
    """`[B]` mean absolute difference of the levels, in 0..1."""
    return (batch.float() - preview.float()).abs().flatten(1).mean(1) / 255


def _skin_pixels(preview: torch.Tensor, most: int = 256) -> torch.Tensor | None:
    """Indices of up to `most` skin-coloured pixels of `[3, H, W]` uint8, spread evenly; None when
    there are too few to matter.

    Skin by chroma, 77 <= Cb <= 127 and 133 <= Cr <= 173: Chai and Ngan, "Face segmentation using
    skin-color map in videophone applications", 1999."""
    red, green, blue = preview.float().flatten(1)
    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    skin: torch.Tensor = ((cb >= 77) & (cb <= 127) & (cr >= 133) & (cr <= 173)).nonzero().flatten()
    if len(skin) < MIN_SKIN_SHARE * cb.numel():
        return None
    return skin[:: max(1, len(skin) // most)][:most]
