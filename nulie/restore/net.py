"""The one network that nulie's own restorers are."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class _PReLU(nn.PReLU):
    """The same numbers, from simpler parts where PyTorch's own is slow: in bfloat16 on a CPU, with
    channels that do not fill its vectors, it takes as long as the convolutions do."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        slow = image.dtype == torch.bfloat16 and image.device.type == "cpu" and image.shape[1] % 32
        if not slow or torch.is_grad_enabled():
            return super().forward(image)
        below = image.clamp_max(0)
        # A convolution has just made it, and nobody else will look at it.
        return image.clamp_min_(0).addcmul_(below, self.weight.view(-1, 1, 1))


class Net(nn.Module):
    """3x3 convolutions in a row, and what comes out is added to the picture.

    With `scale` above 1 it is SRVGGNetCompact of Real-ESRGAN (Wang et al. 2021), so that other
    programs can open its weights; at 1:1 it works at half the resolution, on 2x2 pixels at once, as
    FFDNet does (Zhang et al. 2018), and takes a map of strength beside them where it is `guided`.
    """

    def __init__(self, scale: int = 1, features: int = 48, depth: int = 8, guided: bool = False):
        super().__init__()
        self.scale = scale
        self.fold = 2 if scale == 1 else 1
        """Pixels of the picture, along a side, that the convolutions see as one."""
        self.guided, self.features, self.depth = guided, features, depth
        layers: list[nn.Module] = []
        channels = 3 * self.fold**2 + guided
        for _ in range(depth + 1):
            layers += [nn.Conv2d(channels, features, 3, 1, 1), _PReLU(features)]
            channels = features
        layers.append(nn.Conv2d(features, 3 * (self.fold * scale) ** 2, 3, 1, 1))
        self.body = nn.Sequential(*layers)

    @property
    def halo(self) -> int:
        """Pixels of the input, on each side, that a pixel of the output depends on."""
        return self.fold * sum(isinstance(layer, nn.Conv2d) for layer in self.body)

    def forward(self, image: torch.Tensor, strength: torch.Tensor | None = None) -> torch.Tensor:
        """`[B, 3, H, W]` in 0..1 to `[B, 3, scale H, scale W]`, about 0..1; at 1:1 the sides must
        be even. `strength`: `[B]`, 0..100, where the network is guided."""
        # The picture itself is not to be rounded as the weights may be.
        seen = functional.pixel_unshuffle(image, self.fold).to(next(self.parameters()).dtype)
        if self.guided:
            assert strength is not None
            batch, _, height, width = seen.shape
            plane = (strength / 100).to(seen).view(batch, 1, 1, 1).expand(-1, -1, height, width)
            seen = torch.cat([seen, plane], 1)
        residual = functional.pixel_shuffle(self.body(seen), self.fold * self.scale).to(image)
        return functional.interpolate(image, scale_factor=self.scale, mode="nearest") + residual
