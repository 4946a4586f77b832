"""What a small network trained on ImageNet sees in a photo, in a grid of cells.

The first eleven of the nineteen layers of MobileNetV2 (Sandler et al., "MobileNetV2: Inverted
Residuals and Linear Bottlenecks", 2018). The weights are torchvision's (BSD-3-Clause), each
normalization taken into the convolution before it, see `benchmarks/fold_glance.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path

import torch
from torch.nn import functional

from ..color import lab

EMBEDDED = Path(__file__).with_name("glance.safetensors")
SIDE = 128
"""Short side at which photos are looked at; smaller ones are enlarged."""
GRID = 8
"""Cells along either side of a photo, whatever its shape."""
CHANNELS = 64 + 3
"""Numbers a cell: what the network gives, and the mean color, in CIELAB units over 50."""
AT_ONCE = 8
"""Photos that the network looks at together: with 64 it takes twice as long on a CPU, whose caches
are too small for them."""
BLOCKS = (
    *((1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), (6, 32, 1), (6, 32, 1)),
    *((6, 64, 2), (6, 64, 1), (6, 64, 1), (6, 64, 1)),
)
"""Of each block after the first convolution: how many times wider it is inside, channels out,
stride."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@torch.no_grad()
def cells(photos: torch.Tensor) -> torch.Tensor:
    """`[B, 3, H, W]` uint8 -> `[B, CHANNELS, GRID * GRID]` float32, on the same device."""
    scale = SIDE / min(photos.shape[2:])
    pixels = photos.float()
    if scale > 1:
        size = [max(1, round(side * scale)) for side in photos.shape[2:]]
        pixels = functional.interpolate(pixels, size, mode="bicubic").clamp(0, 255)
    pixels = _normalized(pixels / 255)
    weights = _weights(photos.device)
    seen = torch.cat([forward(weights, part) for part in torch.split(pixels, AT_ONCE)])
    both = (seen, lab(photos) / 50)
    return torch.cat([functional.adaptive_avg_pool2d(x, GRID) for x in both], 1).flatten(2)


def stages(photos: torch.Tensor, count: int) -> list[torch.Tensor]:
    """`[B, 3, H, W]` in 0..1 -> what the first `count` of `BLOCKS` give, of less and less detail;
    gradients flow through it."""
    return list(islice(_stages(_weights(photos.device), _normalized(photos)), count))


def forward(weights: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The network: normalized pixels `[B, 3, H, W]` -> `[B, 64, H / 16, W / 16]`, rounded up."""
    return deque(_stages(weights, x), maxlen=1).pop()


def _normalized(photos: torch.Tensor) -> torch.Tensor:
    mean, deviation = (
        torch.tensor(values, device=photos.device).view(1, 3, 1, 1)
        for values in (_MEAN, _DEVIATION)
    )
    return (photos - mean) / deviation


def _stages(weights: Mapping[str, torch.Tensor], x: torch.Tensor) -> Iterator[torch.Tensor]:
    def convolved(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        groups = x.shape[1] // weight.shape[1]
        padding = weight.shape[-1] // 2
        return functional.conv2d(x, weight, bias, stride, padding, groups=groups)

    x = x.contiguous(memory_format=torch.channels_last)
    x = functional.relu6(convolved(x, "first", 2), inplace=True)
    for number, (wider, _, stride) in enumerate(BLOCKS):
        inside = x if wider == 1 else functional.relu6(convolved(x, f"{number}.expand"), True)
        inside = functional.relu6(convolved(inside, f"{number}.depthwise", stride), True)
        inside = convolved(inside, f"{number}.project")
        x = x + inside if inside.shape == x.shape else inside
        yield x


@cache
def _weights(device: torch.device) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    with torch.inference_mode(False):
        return {
            name: value.float().to(device).contiguous(memory_format=torch.channels_last)
            if value.dim() == 4
            else value.float().to(device)
            for name, value in load_file(EMBEDDED).items()
        }
