"""The embedded target: from statistics of the input, and from what a network sees at a glance, it
guesses what the photo should look like.

First the colour of the light is guessed, and taken out. The guess is then a handful of renderings
of that, one from each member of an ensemble of small networks: saturation, a tone curve, gains of
the channels, saturation again. `nulie.fit` fits them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from ..color import distance, lab
from ..errors import WeightsError
from ..models.device import resolve
from . import balance, glance
from .published import STATISTICS
from .target import Target

EMBEDDED = STATISTICS
FORMAT = "nulie-statistics-3"
"""Marks a parameter file. A change of the features or of the rendering needs a new number."""
FORMAT_2, FORMAT_1 = "nulie-statistics-2", "nulie-statistics-1"
"""The same without a balance, and without a glance either; still read."""
KNOTS = 12
"""Segments of the tone curve."""
HOLD = 0.2
"""How much of what the members disagree about is left undone. With 1, good photographs are moved by
an eighth less, and a seventieth less of what was spoiled is mended."""
OUTPUTS = 2 + 1 + KNOTS + 6
"""Numbers that describe a rendering, see `render`."""
NOTED, PLACES = 32, 8
"""What is noted of each cell of a glance, and kinds of places whose mean colors are asked for."""
GATHERED = NOTED + 3 * PLACES
"""Numbers that become of a glance, see `_gather`."""

Weights = Mapping[str, torch.Tensor]
"""What is fitted, float32: that of `balance`, and for E members with H hidden units: `mean` and
`scale` `[F]` of the features; of each member, for `_gather`, `p` `[E, glance.CHANNELS, NOTED]`, `q`
`[E, 1, NOTED]` and `g` `[E, NOTED, PLACES]`; `w1` `[E, F + GATHERED, H]`, `b1` `[E, 1, H]`, `w2`
`[E, H, H]`, `b2` `[E, 1, H]`, `w3` `[E, H, OUTPUTS]`, `b3` `[E, 1, OUTPUTS]` of the networks."""

_LUMA = (0.299, 0.587, 0.114)


class Statistics(Target):
    """Predictor `statistics`."""

    name = "statistics"

    def __init__(self, path: Path | None = None, device: str = "cpu") -> None:
        """With parameters from a file of `nulie fit`, or those that nulie brings along.

        Raises: WeightsError when the file is missing or no such file, ModelError when there is
        no such device."""
        self.device = resolve(device)
        self._weights = {k: v.to(self.device) for k, v in read(path or EMBEDDED).items()}

    def wanted(self, photo: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """See `Target.wanted`: a rendering from each member. The chosen pixels alone are made."""
        light = in_white_light(self._weights, photo[None])
        described = forward(self._weights, features(light)[None], glance.cells(light))[:, 0]
        pixels = light.flatten(2)[:, :, chosen].float() / 255
        rendered = render(described, pixels.expand(len(described), -1, -1)).clamp(0, 1)
        return levels(hold_back(rendered, pixels))


def in_white_light(weights: Weights, photos: torch.Tensor) -> torch.Tensor:
    """`[B, 3, H, W]` uint8 photos without the casts that are guessed of them."""
    stops = balance.guess(weights, photos, glance.cells(photos))
    return levels(balance.balanced(photos.flatten(2).float() / 255, stops)).view_as(photos)


@torch.no_grad()
def without_cast(photo: torch.Tensor) -> torch.Tensor:
    """`[3, H, W]` uint8 without the cast that the embedded parameters guess of it."""
    return in_white_light(_embedded(photo.device), photo[None])[0]


@cache
def _embedded(device: torch.device) -> Weights:
    with torch.inference_mode(False):  # or a host's mode would bar them from gradients for ever
        return {name: weight.to(device) for name, weight in read(EMBEDDED).items()}


def hold_back(rendered: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Renderings `[E, 3, N]` of `[1, 3, N]`, all in [0, 1], taken back towards doing nothing by
    `HOLD` times what the members disagree, as a share of how far they go."""
    seen, start = lab(levels(rendered)), lab(levels(pixels))
    middle = seen.mean(0, keepdim=True)
    apart, way = distance(seen, middle).mean(), distance(middle, start).mean()
    return pixels + (1 - HOLD * apart / (way + 0.5)).clamp(min=0) * (rendered - pixels)


def levels(pixels: torch.Tensor) -> torch.Tensor:
    """Values in [0, 1] as uint8."""
    return pixels.mul(255).round().to(torch.uint8)


def read(path: Path) -> dict[str, torch.Tensor]:
    """Parameters from a file, float32 on the CPU. Raises: WeightsError."""
    from safetensors import safe_open

    if not path.is_file():
        raise WeightsError(f"{path} does not exist, or is no file")
    try:
        with safe_open(path, "pt") as file:
            form = (file.metadata() or {}).get("format")
            names = list(file.keys())
            weights = {name: file.get_tensor(name).float() for name in names}
    except Exception as e:
        # safetensors has its own exception, and lets those of torch and of the system through.
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise WeightsError(f"{path} cannot be read as parameters of statistics: {reason}") from None
    if form == FORMAT_1:
        weights = _blind(weights)
    if form in (FORMAT_1, FORMAT_2):
        weights |= {name: torch.zeros(shape) for name, shape in balance.SHAPES.items()}
    elif form != FORMAT:
        raise WeightsError(f"{path} is no file of nulie fit for this version; fit it again")
    if not _fit_together(weights):
        raise WeightsError(f"{path} holds tensors of wrong names, shapes or values; fit it again")
    return weights


def _blind(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Parameters of `FORMAT_1` as those of members that make nothing of a glance."""
    first = weights.get("w1", torch.zeros(0))
    if first.dim() != 3:
        return weights
    members, _, hidden = first.shape
    shapes = {"p": (glance.CHANNELS, NOTED), "q": (1, NOTED), "g": (NOTED, PLACES)}
    nothing = {name: torch.zeros(members, *shape) for name, shape in shapes.items()}
    rows = torch.zeros(members, GATHERED, hidden)
    return {**weights, **nothing, "w1": torch.cat([first, rows], 1)}


def write(weights: Weights, path: Path) -> None:
    """Writes parameters in half precision, which costs less than a hundredth of a point."""
    from safetensors.torch import save_file

    halves = {name: value.detach().cpu().half().contiguous() for name, value in weights.items()}
    part = path.with_name(f"{path.name}.part")
    save_file(halves, part, {"format": FORMAT})
    part.replace(path)


def _fit_together(weights: Weights) -> bool:
    count = features(torch.zeros(1, 3, 2, 2, dtype=torch.uint8)).shape[1]
    first = weights.get("w1", torch.zeros(0))
    members, hidden = first.shape[::2] if first.dim() == 3 else (0, 0)
    shapes = {
        "mean": (count,),
        "scale": (count,),
        "p": (members, glance.CHANNELS, NOTED),
        "q": (members, 1, NOTED),
        "g": (members, NOTED, PLACES),
        "w1": (members, count + GATHERED, hidden),
        "b1": (members, 1, hidden),
        "w2": (members, hidden, hidden),
        "b2": (members, 1, hidden),
        "w3": (members, hidden, OUTPUTS),
        "b3": (members, 1, OUTPUTS),
        **balance.SHAPES,
    }
    same = {name: tuple(value.shape) for name, value in weights.items()} == shapes
    return members > 0 and same and all(bool(v.isfinite().all()) for v in weights.values())


def forward(
    weights: Mapping[str, Any], seen: torch.Tensor, cells: torch.Tensor, drop: float = 0.0
) -> torch.Tensor:
    """Features `[E or 1, B, F]` and cells `[B or E * B, glance.CHANNELS, N]` of a glance ->
    descriptions of renderings `[E, B, OUTPUTS]`, for `render`.

    `drop`: share of units left out, when fitting."""
    x = ((seen - weights["mean"]) / weights["scale"]).clamp(-4, 4)
    x = functional.dropout(x, drop / 2)
    gathered = _gather(weights, cells.view(-1, seen.shape[1], *cells.shape[1:]))
    x = torch.cat([x.expand(len(gathered), -1, -1), gathered], -1)
    for layer in "12":
        x = functional.gelu(x @ weights[f"w{layer}"] + weights[f"b{layer}"])
        x = functional.dropout(x, drop)
    result: torch.Tensor = x @ weights["w3"] + weights["b3"]
    return result


def _gather(weights: Mapping[str, Any], cells: torch.Tensor) -> torch.Tensor:
    """What each member takes from `[E or 1, B, glance.CHANNELS, N]` cells: the mean of what it
    notes of them, and the mean color of each kind of place that it looks for, `[E, B, GATHERED]`.
    """
    columns = cells.transpose(2, 3)
    noted = functional.gelu(columns @ weights["p"][:, None] + weights["q"][:, None])
    where = (noted @ weights["g"][:, None]).softmax(2)
    colors = where.transpose(2, 3) @ columns[..., -3:]
    return torch.cat([noted.mean(2), 2 * colors.flatten(2)], -1)


def render(described: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels `[B, 3, N]` float32 in [0, 1] as `[B, OUTPUTS]` says; the result is not clamped.

    In a row of zeros everything is neutral. Greyscale pixels stay grey."""
    first, second, start, slopes, gains, lifts = torch.split(described, [1, 1, 1, KNOTS, 3, 3], 1)
    coloured = (pixels.amax(1) - pixels.amin(1)).amax(1) > 0.01
    coloured = coloured[:, None].to(pixels.dtype)
    gains = torch.exp(0.3 * _apart(gains, coloured))[:, :, None]
    lifts = 0.1 * _apart(lifts, coloured)[:, :, None]
    x = _saturate(pixels, first).clamp(0, 1)
    # The curve is straight between knots and rises everywhere.
    steps = torch.exp(slopes) / KNOTS
    knots = 0.5 * start + torch.cat([torch.zeros_like(start), steps.cumsum(1)], 1)
    place = x * KNOTS
    left = place.detach().floor().clamp(max=KNOTS - 1)
    at = left.long().flatten(1)
    low, high = knots.gather(1, at).view_as(x), knots.gather(1, at + 1).view_as(x)
    x = low + (high - low) * (place - left)
    return _saturate(x * gains + lifts, second)


def _apart(values: torch.Tensor, coloured: torch.Tensor) -> torch.Tensor:
    """`[B, 3]` values, alike for all channels where a photo has no colour."""
    mean = values.mean(1, keepdim=True)
    return mean + (values - mean) * coloured


def _saturate(pixels: torch.Tensor, log_factor: torch.Tensor) -> torch.Tensor:
    grey = _luma(pixels)
    return grey + torch.exp(log_factor)[:, :, None] * (pixels - grey)


def _luma(pixels: torch.Tensor) -> torch.Tensor:
    """`[B, 1, N]` luma, ITU-R BT.601, as Pillow's saturation has it."""
    weights = torch.tensor(_LUMA, device=pixels.device).view(1, 3, 1)
    return (pixels * weights).sum(1, keepdim=True)


_LOWER = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
_FINE = (*_LOWER, 0.5, *(1 - q for q in reversed(_LOWER)))
_COARSE = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0)
_ZONES = 6
_HUES = 12


def features(photos: torch.Tensor) -> torch.Tensor:
    """What the networks see of `[B, 3, H, W]` uint8 photos: `[B, F]` float32, of order 1.

    Quantiles of luma, of the channels, of the lightest and darkest one, of chroma; shares of
    clipped pixels; colour and local contrast of tone zones; hues."""
    height, width = photos.shape[2:]
    pixels = photos.flatten(2).float() / 255
    lightness, a, b = (lab(photos.flatten(2)) / 100).unbind(1)
    chroma = (a * a + b * b).sqrt()
    luma = _luma(pixels)[:, 0]
    most, least = pixels.amax(1), pixels.amin(1)
    colours = torch.stack([chroma, a, b], 1)
    coarse = torch.stack([*pixels.unbind(1), most, least, 2 * chroma], 1)
    inverse_saturation = (most - least) / (most + 0.02)
    coarse = torch.cat([coarse, inverse_saturation[:, None]], 1)
    zones = _zones(lightness)
    share = zones.mean(-1)
    by_zone = torch.einsum("bzn,bcn->bcz", zones, colours) / (
        zones.sum(-1) + 0.01 * height * width
    ).unsqueeze(1)
    edges = _edges(luma.view(-1, height, width)).flatten(1)
    tones = _zones(luma)
    contrast = torch.einsum("bzn,bn->bz", tones, edges) / (tones.sum(-1) + 0.01 * height * width)
    hues = _hues(a, b, chroma)
    everything = [
        _quantiles(luma, _FINE),
        _quantiles(coarse, _COARSE).flatten(1),
        _log_share(pixels >= 1),
        _log_share(pixels <= 0),
        _log_share(torch.stack([most >= 1, least <= 0, most <= 0, least >= 1], 1)),
        (share + 1e-3).log() / 4 + 1,
        4 * by_zone.flatten(1),
        6 * contrast,
        (contrast + 0.003).log() / 2 + 2,
        10 * hues,
        2 * hues / (chroma.mean(1, keepdim=True) + 0.01),
    ]
    return torch.cat(everything, 1)


def _quantiles(values: torch.Tensor, at: tuple[float, ...]) -> torch.Tensor:
    """`[..., N]` -> `[..., Q]`, straight between neighbours."""
    ordered = values.sort(-1).values
    place = torch.tensor(at, device=values.device) * (values.shape[-1] - 1)
    left = place.floor().long()
    right = (left + 1).clamp(max=values.shape[-1] - 1)
    return ordered[..., left] + (ordered[..., right] - ordered[..., left]) * (place - left)


def _log_share(holds: torch.Tensor) -> torch.Tensor:
    """`[B, C, N]` truth values -> how often they hold, `[B, C]`, with rare ones told apart."""
    return (holds.float().mean(-1) + 1e-4).log() / 5 + 1


def _zones(values: torch.Tensor) -> torch.Tensor:
    """How much pixels `[B, N]` in [0, 1] belong to each tone zone, `[B, _ZONES, N]`."""
    centres = torch.linspace(0, 1, _ZONES, device=values.device)[None, :, None]
    return (1 - (values[:, None] - centres).abs() * (_ZONES - 1)).clamp(min=0)


def _edges(luma: torch.Tensor) -> torch.Tensor:
    """`[B, H, W]` -> the difference from the left and the upper neighbour."""
    edges = torch.zeros_like(luma)
    edges[:, :, 1:] += (luma[:, :, 1:] - luma[:, :, :-1]).abs()
    edges[:, 1:] += (luma[:, 1:] - luma[:, :-1]).abs()
    return edges


def _hues(a: torch.Tensor, b: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    """`[B, _HUES]` chroma by hue, in overlapping sectors."""
    sectors = []
    for sector in range(_HUES):
        angle = 2 * math.pi * sector / _HUES
        near = (a * math.cos(angle) + b * math.sin(angle)) / (chroma + 1e-6)
        sectors.append((near.clamp(min=0) ** 8 * chroma).mean(1))
    return torch.stack(sectors, 1)
