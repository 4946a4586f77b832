"""The predictor `retouch`: a small network says how a retoucher would have treated the photo.

Zeng et al., "Learning Image-adaptive 3D Lookup Tables for High Performance Photo Enhancement in
Real-time", TPAMI 2020; the model for sRGB that they trained on pairs. A network looks at the photo
and mixes three tables of colours; the mixture says for each colour of the photo which one it
should be. The weights are Apache-2.0; they were trained on MIT-Adobe FiveK, a data set for
research: photographs, and what one of five experts made of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from ..errors import WeightsError
from ..models.contents import unpickle
from ..models.device import resolve
from ..models.store import obtain
from .published import RETOUCH, WEIGHTS
from .target import Target

if TYPE_CHECKING:
    from ..models.download import Progress

BLEND = 0.85
"""Share of the network's rendering in what is wanted, the rest is the photo. On 18 pairs by experts
.5, .7, .85 and 1 came to 23.6, 25.4, 26.5 and 25.6 dB."""
SEEN = 256
"""Sides of the square that the network looks at."""
TABLES = 3
LEVELS = 33
"""Entries of a table along each of red, green and blue."""
RANGE = 1.000001
"""What the last entry of a table stands for; the network was trained with this, not 1."""

_LAYERS = ((1, 3), (4, 6), (7, 9), (10, 12), (13, None))
"""Numbers in the file's names of each convolution, and of the normalization that follows."""
_LAST = 16
"""Number of the convolution that gives the shares."""
_WIDTHS = (3, 16, 32, 64, 128, 128)
_COLORED = 2
"""Levels by which channels differ where a photo has color, noise of JPEG apart."""

Weights = Mapping[str, torch.Tensor]


class Retouch(Target):
    """Predictor `retouch`.

    Previews have a short side of 128: what is wanted is then on average 0.96 CIE76 units from what
    it would be if the network saw the full photo, and 0.66 if it saw it at the size that it was
    trained with, 480, on 26 photographs. At 64 that is 1.38 and 1.10.
    """

    name = "retouch"
    input_size = 128

    def __init__(
        self,
        *,
        device: str = "cpu",
        folders: Sequence[Path] = (),
        progress: Progress | None = None,
        network: bool = True,
    ) -> None:
        """`folders` are further places to look for the files; what is missing is downloaded unless
        `network` is False.

        Raises: ModelError when there is no such device; WeightsError when files are missing and
        cannot be had, or are not what they should be."""
        self.device = resolve(device)
        files = [
            obtain(WEIGHTS[part], folders=folders, progress=progress, network=network)
            for part in RETOUCH
        ]
        self.sources = tuple(map(str, files))
        """The files it was read from: tables, network."""
        tables, net = read(*files)
        self._tables = tables.to(self.device)
        self._net = {name: value.to(self.device) for name, value in net.items()}

    def wanted(self, photo: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """See `Target.wanted`: one rendering. Greyscale photos stay grey."""
        pixels = photo.flatten(1)[:, chosen].float() / 255
        table = mix(self._tables, shares(self._net, photo))
        made = look_up(table, pixels).clamp(0, 1)
        if (photo.amax(0).int() - photo.amin(0)).max() <= _COLORED:
            made = made.mean(0, keepdim=True).expand_as(made)
        blended = pixels + BLEND * (made - pixels)
        return blended.mul(255).round().to(torch.uint8)[None]


def read(tables: Path, net: Path) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The tables, `[TABLES, 3, LEVELS, LEVELS, LEVELS]`, and the network's tensors by the names of
    its file, all float32 on the CPU. Raises: WeightsError."""
    entries, state = _entries(tables), _entries(net)
    try:
        stacked = torch.stack([entries[str(i)]["LUT"].float() for i in range(TABLES)])
        own = {name: state[name].float() for name in _shapes()}
    except (KeyError, TypeError, AttributeError, RuntimeError):
        raise WeightsError(f"{tables} and {net} are no tables and network of retouch") from None
    if stacked.shape != (TABLES, 3, LEVELS, LEVELS, LEVELS) or any(
        own[name].shape != shape for name, shape in _shapes().items()
    ):
        raise WeightsError(f"{tables} and {net} hold tensors of wrong shapes for retouch")
    return stacked, own


def shares(net: Weights, photo: torch.Tensor) -> torch.Tensor:
    """How much of each table the photo, `[3, H, W]` uint8, needs: `[TABLES]` float32, of either
    sign."""
    x = photo[None].float() / 255
    # Bicubic, where the network was trained with bilinear: it restores more of a small preview's
    # edges. Of a photo with a short side of 480 both make the same within 0.34 CIE76 units.
    x = functional.interpolate(x, (SEEN, SEEN), mode="bicubic", align_corners=False).clamp(0, 1)
    for conv, norm in _LAYERS:
        x = functional.conv2d(x, *_pair(net, conv), stride=2, padding=1)
        x = functional.leaky_relu(x, 0.2)
        if norm is not None:
            weight, bias = _pair(net, norm)
            x = functional.instance_norm(x, weight=weight, bias=bias)
    return functional.conv2d(x, *_pair(net, _LAST)).flatten()


def mix(tables: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """The sum of tables, `[TABLES, 3, b, g, r]`, each times its part: `[3, b, g, r]`."""
    return (tables * parts.view(-1, 1, 1, 1, 1)).sum(0)


def look_up(table: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """What a table, `[3, b, g, r]`, says of pixels, `[3, N]` in [0, 1], r, g and b: trilinear
    between its entries, `[3, N]` float32, not clamped."""
    # -1 and 1 are the first and the last entry; the first coordinate is that of the last axis.
    place = pixels.T * (2 / RANGE) - 1
    found = functional.grid_sample(
        table[None], place[None, None, None], padding_mode="border", align_corners=True
    )
    return found[0, :, 0, 0]


def _pair(net: Weights, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    return net[f"model.{number}.weight"], net[f"model.{number}.bias"]


def _shapes() -> dict[str, tuple[int, ...]]:
    """Of the network's tensors, by the names of its file."""
    shapes: dict[str, tuple[int, ...]] = {}
    for (conv, norm), before, after in zip(_LAYERS, _WIDTHS, _WIDTHS[1:], strict=False):
        shapes |= {f"model.{conv}.weight": (after, before, 3, 3), f"model.{conv}.bias": (after,)}
        if norm is not None:
            shapes |= {f"model.{norm}.{part}": (after,) for part in ("weight", "bias")}
    side = SEEN >> len(_LAYERS)
    last = {"weight": (TABLES, _WIDTHS[-1], side, side), "bias": (TABLES,)}
    return shapes | {f"model.{_LAST}.{part}": shape for part, shape in last.items()}


def _entries(path: Path) -> Mapping[str, Any]:
    try:
        return unpickle(path)
    except WeightsError:
        raise
    except Exception as e:
        # Damaged files end in errors of zip, pickle, or torch: no common class.
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise WeightsError(f"{path} cannot be read as weights of retouch: {reason}") from e
