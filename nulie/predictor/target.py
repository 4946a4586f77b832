"""Predictors that have a target: they know what the photo should look like.

From the photo's preview a target makes one or several renderings, once. Candidates are compared
with these pixel by pixel, so no search can find a picture that fools what made them, and a
candidate costs next to nothing. A score is 10 - d / 5, where d is the mean CIE76 distance between
the candidate and the renderings: 10 has nothing left to mend, and a point is 5 units. Where there
are several renderings, each is asked for its share of the pixels, spread as evenly as all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from ..color import distance, lab
from ..errors import ModelError
from .base import Enhancing, Judge, NoteKeeper, Prediction

UNITS_PER_POINT = 5.0
"""CIE76 units of distance that cost one point of the score."""
JUDGED_PIXELS = 1024
"""So many pixels of a candidate, spread evenly, stand for all of them."""


class Target(ABC):
    """What all targets share: one says what the chosen pixels should be, and is a predictor."""

    name: str
    input_size: int = 64
    batch_size: int = 128
    device: torch.device = torch.device("cpu")

    @abstractmethod
    def wanted(self, photo: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """What the pixels of `photo`, `[3, H, W]` uint8, should be at the flat indices `chosen`,
        `[N]` int64, both on this device: `[R, 3, N]` uint8, R renderings. Without gradients."""

    @torch.no_grad()
    def renderings(self, photo: torch.Tensor) -> torch.Tensor:
        """What `[3, H, W]` uint8 should look like, all of it: `[R, 3, H, W]` uint8."""
        photo = photo.to(self.device)
        everywhere = torch.arange(photo[0].numel(), device=self.device)
        return self.wanted(photo, everywhere).view(-1, *photo.shape)

    @torch.no_grad()
    def judge(self, photo: torch.Tensor) -> Judge:
        """See `Predictor.judge`. Photos of any size will do."""
        photo = photo.to(self.device)
        chosen = spread(*photo.shape[1:]).to(self.device)
        renderings = lab(self.wanted(photo, chosen))
        pixel = torch.arange(len(chosen), device=self.device)
        wanted = renderings[pixel % len(renderings), :, pixel].T

        @torch.no_grad()
        def judge(batch: torch.Tensor) -> Prediction:
            some = batch.flatten(2).index_select(2, chosen.to(batch.device)).to(self.device)
            seen = lab(some)
            return Prediction(10 - distance(seen, wanted) / UNITS_PER_POINT, colors=seen)

        return judge


class Enhanced(Target):
    """The target of somebody's own function from picture to picture, see `Enhancing`."""

    def __init__(
        self,
        own: Enhancing,
        *,
        name: str,
        input_size: int,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self.name = name
        self.input_size = input_size
        self.batch_size = batch_size
        self.device = device
        self.notes: list[str] = own.notes if isinstance(own, NoteKeeper) else []
        self._own = own

    def wanted(self, photo: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """See `Target.wanted`. Raises: ModelError when what was made is no such picture."""
        made = self._levels(self._own.render(photo.clone()), photo)
        return made.flatten(1)[None, :, chosen]

    def _levels(self, made: Any, photo: torch.Tensor) -> torch.Tensor:
        """As `[3, H, W]` uint8 on this device."""
        try:
            levels: torch.Tensor = torch.as_tensor(made, device=self.device)
        except (TypeError, ValueError, RuntimeError):
            raise ModelError(f"{self.name} gave {type(made).__name__}, not a picture") from None
        if levels.shape != photo.shape:
            sizes = (" x ".join(map(str, one.shape)) or "a number" for one in (levels, photo))
            raise ModelError("{} gave {} for a picture of {}".format(self.name, *sizes))
        if levels.dtype == torch.uint8:
            return levels
        levels = levels.float()
        if not levels.isfinite().all():
            raise ModelError(f"{self.name} gave numbers that are not finite")
        if 0 < levels.max() <= 1 and photo.max() > 1:
            # A picture in which nothing is lighter than level 1 is meant otherwise.
            raise ModelError(f"{self.name} gave numbers up to 1, but levels go from 0 to 255")
        return levels.round().clamp(0, 255).to(torch.uint8)


def spread(height: int, width: int) -> torch.Tensor:
    """Flat indices of up to `JUDGED_PIXELS` pixels spread evenly over a picture, by the R2 sequence
    (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018)."""
    if height * width <= JUDGED_PIXELS:
        return torch.arange(height * width)
    n = torch.arange(JUDGED_PIXELS, dtype=torch.float64)
    y = (0.5 + n * 0.7548776662466927) % 1 * height
    x = (0.5 + n * 0.5698402909980532) % 1 * width
    chosen: torch.Tensor = torch.unique(y.long() * width + x.long(), sorted=True)
    return chosen
