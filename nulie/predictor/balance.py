"""Guesses the colour of the light in which a photo was taken.

In linear light a cast multiplies each channel, so on a plane of log(green / red) and log(green /
blue) it moves all colours of a photo by the same way. A filter that knows where the colours of good
photographs lie is slid over their histogram: how well it fits at each place says how likely each
cast is. After Barron, "Convolutional Color Constancy", 2015. The histograms here are those of
several kinds of places, which a glance tells apart, of what is lightest, darkest and clipped, and
of edges; `nulie.fit` learns the filters.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from ..color import LUMINANCE, to_levels, to_linear
from . import glance

BINS, STOPS_PER_BIN = 48, 1 / 8
"""Of a histogram along each side, which begins anew at its ends."""
MOST = 1.3
"""Stops: no cast is thought to be stronger."""
SIDE = 6 * glance.GRID
"""Sides of the picture whose pixels are counted: six by six of them a cell of the glance."""
KINDS, NOTED = 8, 32
"""Kinds of places that are told apart, and what is noted of a cell in order to do so."""
LIGHTEST, DARKEST = 0.8, 0.2
"""Quantiles of light."""
CLIPPED = 252, 6
"""Levels from which on, and up to which, a channel may have lost what it was."""
EDGE = 1.0
"""Of this much linear light, in parts of 255, an edge is counted."""
FILTERS = KINDS + 4
SURE, QUITE_SURE = 0.75, 1.25
"""Standard deviations by which a cast must be off none before any of it is taken out, and from
which on all of it is. With 1 and 2 a twelfth more is left of casts, and good photographs are moved
by a thirtieth less."""

Weights = Mapping[str, torch.Tensor]
SHAPES = {
    "balance.p": (glance.CHANNELS, NOTED),
    "balance.q": (NOTED,),
    "balance.r": (NOTED, KINDS),
    "balance.s": (KINDS,),
    "balance.filters": (FILTERS, BINS, BINS),
    "balance.prior": (BINS, BINS),
}
"""What is fitted; with zeros no cast is ever found."""


def guess(weights: Weights, photos: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """The casts of `[B, 3, H, W]` uint8 photos with `cells` of a glance, in stops by which green is
    lighter than red and than blue, `[B, 2]`: the mean of what is likely, as far as it stands out
    from how widely that is spread. A photo without colours has none."""
    stops, doubt = mean(log_likelihood(weights, counted(photos), cells))
    off = stops.norm(dim=1) / doubt.clamp(min=1e-6)
    sure = ((off - SURE) / (QUITE_SURE - SURE)).clamp(0, 1)
    colored = (photos.amax(1).int() - photos.amin(1)).flatten(1).amax(1) > 2
    found: torch.Tensor = stops * (sure * colored)[:, None]
    return found


def balanced(pixels: torch.Tensor, stops: torch.Tensor) -> torch.Tensor:
    """Pixels `[B, 3, N]` in 0..1 without casts of `[B, 2]` stops; a grey keeps its light."""
    gains = 2 ** torch.stack([stops[:, 0], torch.zeros_like(stops[:, 0]), stops[:, 1]], 1)
    gains = gains / (gains * gains.new_tensor(LUMINANCE)).sum(1, keepdim=True)
    return to_levels((to_linear(pixels) * gains[:, :, None]).clamp(0, 1))


def counted(photos: torch.Tensor) -> torch.Tensor:
    """The pixels of `[B, 3, H, W]` uint8 that are counted: `[B, 3, SIDE, SIDE]` uint8."""
    size = (SIDE, SIDE)
    small = functional.interpolate(photos.float(), size, mode="bilinear", antialias=True)
    return small.add(0.5).floor().clamp(0, 255).to(torch.uint8)


def log_likelihood(weights: Weights, pixels: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Of each cast, by the pixels that are `counted` and a glance: `[B, BINS, BINS]`, none in the
    middle."""
    noted = functional.gelu(cells.transpose(1, 2) @ weights["balance.p"] + weights["balance.q"])
    kinds = (noted @ weights["balance.r"] + weights["balance.s"]).softmax(-1)
    by_cell, others = _histograms(pixels)
    by_kind = torch.einsum("bck,bcn->bkn", kinds, by_cell)
    seen = torch.cat([by_kind, others], 1).view(len(pixels), FILTERS, BINS, BINS)
    # Of many pixels of one colour each says less: they may be of one thing.
    seen = (seen + 1e-5).sqrt()
    turned = torch.fft.rfft2(seen) * torch.fft.rfft2(weights["balance.filters"]).conj()
    fits = torch.fft.irfft2(turned.sum(1), s=(BINS, BINS))
    fits = torch.fft.fftshift(fits, dim=(1, 2)) + weights["balance.prior"]
    near = _casts(fits).abs() <= MOST
    fits = fits.masked_fill(~(near[:, None] & near), -1e4)
    logs: torch.Tensor = fits.flatten(1).log_softmax(1).view_as(fits)
    return logs


def mean(log_likelihood: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean cast `[B, 2]`, and the standard deviation from it `[B]`, in stops."""
    likely, casts = log_likelihood.exp(), _casts(log_likelihood)
    sides = torch.stack([likely.sum(2), likely.sum(1)], 1)
    middle = sides @ casts
    return middle, (sides * (casts - middle[:, :, None]).square()).sum((1, 2)).sqrt()


def _casts(like: torch.Tensor) -> torch.Tensor:
    """`[BINS]` stops."""
    return (torch.arange(BINS, device=like.device) - BINS // 2) * STOPS_PER_BIN


def _histograms(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each cell of a glance, `[B, GRID * GRID, BINS * BINS]`, and of all that is lightest,
    darkest, clipped or an edge, `[B, 4, BINS * BINS]`, as shares of the picture."""
    count = len(pixels)
    light = to_linear(pixels.float() / 255)
    flat, levels = light.flatten(2), pixels.flatten(2)
    bins, shares = _bins(flat)
    rows = torch.arange(SIDE, device=pixels.device) // (SIDE // glance.GRID)
    cell = (rows[:, None] * glance.GRID + rows).flatten()
    clipped = ((levels >= CLIPPED[0]) | (levels <= CLIPPED[1])).any(1)
    by_cell = shares.new_zeros(count, glance.GRID**2 * BINS * BINS)
    whole = shares * ~clipped[:, :, None]
    places = (cell[:, None] * BINS * BINS + bins).flatten(1)
    by_cell.scatter_add_(1, places, whole.flatten(1))
    luminance = (flat * flat.new_tensor(LUMINANCE)[:, None]).sum(1)
    low, high = (luminance.quantile(q, 1, keepdim=True) for q in (DARKEST, LIGHTEST))
    edges = (light - functional.avg_pool2d(light, 3, 1, 1)).abs().flatten(2)
    some = [(luminance > high, bins, shares), (luminance < low, bins, shares)]
    some += [(clipped, bins, shares), (edges.mean(1) > EDGE / 255, *_bins(edges * 10))]
    others = shares.new_zeros(count, len(some), BINS * BINS)
    for number, (which, its, parts) in enumerate(some):
        which = which[:, :, None]
        others[:, number].scatter_add_(1, its.flatten(1), (parts * which).flatten(1))
    scale = 2 / SIDE**2
    return by_cell.view(count, glance.GRID**2, -1) * scale, others * scale


def _bins(light: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of linear light `[B, 3, N]`: the four nearest bins, `[B, N, 4]`, and their shares."""
    red, green, blue = (light + 2e-3).log2().unbind(1)
    at = torch.stack([green - red, green - blue], -1) / STOPS_PER_BIN + BINS // 2
    low = at.floor()
    part = at - low
    first, second = (low.long() % BINS).unbind(-1)
    next_first, next_second = (first + 1) % BINS, (second + 1) % BINS
    of_first, of_second = part.unbind(-1)
    bins = [(first, second), (first, next_second), (next_first, second), (next_first, next_second)]
    shares = [
        (1 - of_first) * (1 - of_second),
        (1 - of_first) * of_second,
        of_first * (1 - of_second),
        of_first * of_second,
    ]
    return torch.stack([a * BINS + b for a, b in bins], -1), torch.stack(shares, -1)
