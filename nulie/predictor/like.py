"""Targets out of pictures that the user shows: colors like those of a reference, or this very
picture.

`Like` moves the photo's colors by the linear Monge-Kantorovich map: of all linear maps that give
the photo the reference's mean and covariance of colors, the one that moves colors least (Pitié
and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour
transfer", CVMP 2007). It works on sRGB levels as they are. On 43 photographs that were spoiled by
tone curves, casts, and loss of saturation and contrast it brought the left half, with the right
half of the good photograph as reference, from a mean CIE76 distance of 16.6 units to 11.7; in
CIELAB it came to 11.8, in linear light to 13.8.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..models.device import resolve
from .target import Target

BLEND = 0.7
"""Share of the moved colors in what is wanted, the rest is the photo. In the case above .5, .7, .85
and 1 left 12.1, 11.7, 12.0 and 13.0 units: another picture's colors are not quite this one's."""
LEAST, MOST = 0.25, 2.5
"""Bounds of what the map may do to contrast along any direction of color."""
NOISE = 2.5
"""Levels of deviation that every color is taken to have anyway, so that flat pictures have some."""
_COLORED = 2
"""Levels by which channels differ where a picture has color, noise of JPEG apart."""


class Like(Target):
    """Wants the photo with the colors of a reference picture, of whatever it is a picture."""

    name = "like"

    def __init__(self, reference: torch.Tensor, *, device: str = "cpu") -> None:
        """`reference`: `[3, H, W]` uint8 of any size, best as small as a preview. One without color
        asks for a picture without color. Raises: ModelError when there is no such device."""
        self.device = resolve(device)
        self._grey = bool((reference.amax(0).int() - reference.amin(0)).max() <= _COLORED)
        self._mean, self._spread = _moments(reference)

    def wanted(self, photo: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """See `Target.wanted`: one rendering."""
        mean, spread = _moments(photo)
        gain = _transport(spread, self._spread).to(self.device, torch.float32)
        mean, aim = (m.to(self.device, torch.float32) for m in (mean, self._mean))
        pixels = photo.flatten(1)[:, chosen].float()
        moved = (gain @ (pixels - mean) + aim).clamp(0, 255)
        blended = pixels + BLEND * (moved - pixels)
        if self._grey:
            blended = blended.mean(0, keepdim=True).expand_as(blended)
        return blended.round().to(torch.uint8)[None]


class Given(Target):
    """Wants this very picture: an edit of the same photo, made elsewhere."""

    name = "given"

    def __init__(self, picture: torch.Tensor, *, device: str = "cpu") -> None:
        """`picture`: `[3, H, W]` uint8, brought to the size of each photo's preview; one of other
        proportions is stretched. Raises: ModelError when there is no such device."""
        self.device = resolve(device)
        self._picture = picture.to(self.device)

    def wanted(self, photo: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """See `Target.wanted`: the picture at the photo's size."""
        picture = self._picture
        if picture.shape != photo.shape:
            sized = functional.interpolate(
                picture[None].float(), photo.shape[1:], mode="bicubic", antialias=True
            )
            picture = sized[0].round().clamp(0, 255).to(torch.uint8)
        return picture.flatten(1)[None, :, chosen]


def _moments(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean `[3, 1]` and covariance `[3, 3]` of a picture's levels, `[3, H, W]` uint8, with `NOISE`;
    float64 on the CPU, for not every device has that."""
    levels = picture.flatten(1).cpu().double()
    mean = levels.mean(1, keepdim=True)
    apart = levels - mean
    noise = NOISE**2 * torch.eye(3, dtype=torch.float64)
    return mean, apart @ apart.T / levels.shape[1] + noise


def _transport(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The symmetric `[3, 3]` by which levels with covariance `before` get `after`, its gains held
    between `LEAST` and `MOST`."""
    root = _power(before, 0.5)
    back = _power(before, -0.5)
    gains, directions = torch.linalg.eigh(back @ _power(root @ after @ root, 0.5) @ back)
    transport: torch.Tensor = directions * gains.clamp(LEAST, MOST) @ directions.T
    return transport


def _power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
    """Of a symmetric matrix whose eigenvalues are positive."""
    values, vectors = torch.linalg.eigh(matrix)
    power: torch.Tensor = vectors * values.clamp(min=1e-12) ** exponent @ vectors.T
    return power
