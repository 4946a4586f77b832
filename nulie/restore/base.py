"""What a restorer is: weights with a name and a digest that make one picture from another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ..recipe.space import Dial

if TYPE_CHECKING:
    import torch

FACTS = ("name", "digest", "scale", "channels", "halo", "dials")
"""What a restorer says of itself."""


class Restorer(Protocol):
    """One method and six facts. A restorer keeps no state between pictures."""

    @property
    def name(self) -> str:
        """What a recipe calls it, such as `x2`."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of its weights, in lower-case hex."""
        ...

    @property
    def scale(self) -> int:
        """By how much both sides grow; 1 where they do not."""
        ...

    @property
    def channels(self) -> int:
        """C of the pictures it takes: 3 for RGB, 1 for grey."""
        ...

    @property
    def halo(self) -> int:
        """Pixels of the input, on each side, that a pixel of the output depends on."""
        ...

    @property
    def dials(self) -> tuple[Dial, ...]:
        """What can be turned, such as a strength."""
        ...

    def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
        """`[1, C, H, W]` float in 0..1 to `[1, C, scale H, scale W]` alike, on any device. `params`
        are a recipe's: of dials that are missing there the neutral point counts."""
        ...


def model_id(restorer: Restorer) -> str:
    """`NAME@sha256`, as recipes have it."""
    return f"{restorer.name}@{restorer.digest}"
