"""The network that guesses colours: what a classifier of photographs sees, and a decoder of that.

It does not say a colour for each place but how probable each of a palette's is, after Zhang et al.
2016, "Colorful Image Colorization"; their annealed mean makes one of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .. import color

STRIDE, DEEPEST = 4, 32
"""Pixels of the picture, along a side, for which there is one colour; and those that the deepest
features see as one, of which the sides must be multiples."""
TAPS = {3: 24, 6: 32, 13: 96, 17: 320}
"""Layers of MobileNetV2 whose output is used, with its channels: at 1/4, 1/8, 1/16, 1/32."""
CONTEXT = 1280
"""Channels of its last layer, of which the mean over the whole picture is used."""
GRID, REACH = 10, 110
"""Distance of neighbouring colours of the palette in a* and b*, and the largest of both."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Seen = tuple[torch.Tensor, ...]
"""What `Features` gives: a map for each of `TAPS`, then the context `[B, 1280]`."""


@cache
def palette() -> torch.Tensor:
    """`[Q, 2]`: a* and b* of the grid's colours that sRGB can show at some lightness."""
    side = torch.arange(-REACH, REACH + 1, GRID, dtype=torch.float32)
    ab = torch.cartesian_prod(side, side)
    lightness = torch.arange(2, 100, 2, dtype=torch.float32)
    wide = (len(ab), 1, len(lightness))
    lab = torch.cat([lightness.expand(wide), ab[:, :, None].expand(-1, -1, wide[2])], 1)
    light = color.to_light(lab)
    shown = ((light >= -1e-4) & (light <= 1 + 1e-4)).all(1).any(1)
    return ab[shown]


def annealed(logits: torch.Tensor, temperature: float, colors: torch.Tensor) -> torch.Tensor:
    """Logits, or logarithms of shares, `[B, Q, H, W]` to a* and b* `[B, 2, H, W]`: the mean of the
    `colors` `[Q, 2]`, where those that are likely count the more, the lower the temperature is; 1
    takes all as they are."""
    shares = functional.softmax(logits.float() / temperature, 1)
    return torch.einsum("bqhw,qc->bchw", shares, colors)


def grey(lightness: torch.Tensor) -> torch.Tensor:
    """L* `[B, 1, ...]` to the sRGB levels, 0..1, of a grey of that lightness."""
    neutral = torch.zeros_like(lightness)
    light = color.to_light(torch.cat([lightness, neutral, neutral], 1))
    return color.to_levels(light[:, 1:2].clamp(0, 1))


class Features(nn.Module):
    """torchvision's MobileNetV2 as it was trained on ImageNet; it learns nothing here."""

    def __init__(self, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """`weights`: its state; None for random ones. Raises: RuntimeError on another's."""
        super().__init__()
        from torchvision.models import mobilenet_v2

        whole = mobilenet_v2()
        if weights is not None:
            whole.load_state_dict(dict(weights))
        self.layers = whole.features
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, grey: torch.Tensor) -> Seen:
        """`[B, 1, H, W]` in 0..1, sRGB levels of a grey picture; sides are multiples of 32."""
        mean, deviation = grey.new_tensor(_MEAN), grey.new_tensor(_DEVIATION)
        x = (grey - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
        seen = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in TAPS:
                seen.append(x)
        return (*seen, x.mean((2, 3)))


def _block(inputs: int, outputs: int, size: int = 3, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, 1, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


EVERYWHERE = (slice(None), slice(None))


class Decoder(nn.Module):
    """From what `Features` gives to how probable each colour of the palette is."""

    def __init__(self, width: int = 96, drop: float = 0.0) -> None:
        super().__init__()
        self.width = width
        fine = (width // 2, 2 * width // 3, width, width)
        self.sides = nn.ModuleList(
            _block(c, f, 1) for c, f in zip(TAPS.values(), fine, strict=True)
        )
        self.context = nn.Sequential(
            nn.Dropout(2 * drop), nn.Linear(CONTEXT, width), nn.ReLU(), nn.Linear(width, 4 * width)
        )
        self.deep = _block(width, width)
        self.middle = nn.Sequential(_block(2 * width, width), _block(width, width, dilation=2))
        self.high = _block(width + fine[1], width)
        self.top = _block(width + fine[0], 2 * width // 3)
        self.drop = nn.Dropout2d(drop)
        self.out = nn.Conv2d(2 * width // 3, len(palette()), 1)

    def forward(self, seen: Seen, places: tuple[slice, slice] = EVERYWHERE) -> torch.Tensor:
        """Logits `[B, Q, H / 4, W / 4]`, or those at some of their rows and columns."""
        quarter, eighth, sixteenth, deepest = (
            self.drop(side(x)) for side, x in zip(self.sides, seen[:4], strict=True)
        )
        # What the whole picture shows turns features up or down, at two levels.
        gain, shift, gain_above, shift_above = self.context(seen[4])[..., None, None].chunk(4, 1)
        x = self.deep(deepest) * (1 + gain) + shift
        x = self.middle(torch.cat([_double(x), sixteenth], 1)) * (1 + gain_above) + shift_above
        x = self.high(torch.cat([_double(self.drop(x)), eighth], 1))
        x = self.top(torch.cat([_double(x), quarter], 1))
        logits: torch.Tensor = self.out(x[:, :, places[0], places[1]])
        return logits


@torch.inference_mode()
def probabilities(features: Features, net: Decoder, lightness: torch.Tensor) -> torch.Tensor:
    """How probable each colour of the palette is, `[1, Q, h, w]`, for L* `[1, 1, H, W]`: the mean
    of what is seen in the picture and in its mirror image, which is nearer to the truth."""
    seen = grey(lightness)
    made = net(features(seen)).float().softmax(1)
    mirrored = net(features(seen.flip(3))).float().softmax(1)
    mean: torch.Tensor = (made + mirrored.flip(3)) / 2
    return mean


def _double(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def decoder(weights: Mapping[str, Any]) -> Decoder:
    """The one whose weights these are. Raises: KeyError, RuntimeError when they are none's."""
    net = Decoder(weights["deep.0.weight"].shape[0])
    net.load_state_dict({name: value.float() for name, value in weights.items()})
    return net.eval()
