"""Networks of Richard Zhang and others that guess colours, so that their published weights fit:
that of "Colorful Image Colorization" (2016), which says how probable each of 313 colours is, and
that of "Real-Time User-Guided Image Colorization" (2017), which takes hints."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

MIDDLE, SPAN, REACH = 50.0, 100.0, 110.0
"""Of lightness and of a* and b*, as the networks count them."""


def _stage(
    *channels: int, first: nn.Module | None = None, last_stride: int = 1, dilation: int = 1,
    norm: bool = True,
) -> list[nn.Module]:  # fmt: skip
    """Convolutions of 3x3 from each number of channels to the next, each with a ReLU."""
    layers = [first] if first is not None else []
    pairs = list(pairwise(channels))
    for number, (inputs, outputs) in enumerate(pairs, 1):
        stride = last_stride if number == len(pairs) else 1
        conv = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation)
        layers += [conv, nn.ReLU(inplace=True)]
    return [*layers, nn.BatchNorm2d(channels[-1])] if norm else layers


class Zhang2016(nn.Module):
    def __init__(self, width: int = 64, bins: int = 313) -> None:
        """The published weights are of that `width`."""
        super().__init__()
        one, two, four, eight = width, 2 * width, 4 * width, 8 * width
        self.model1 = nn.Sequential(*_stage(1, one, one, last_stride=2))
        self.model2 = nn.Sequential(*_stage(one, two, two, last_stride=2))
        self.model3 = nn.Sequential(*_stage(two, four, four, four, last_stride=2))
        self.model4 = nn.Sequential(*_stage(four, eight, eight, eight))
        self.model5 = nn.Sequential(*_stage(eight, eight, eight, eight, dilation=2))
        self.model6 = nn.Sequential(*_stage(eight, eight, eight, eight, dilation=2))
        self.model7 = nn.Sequential(*_stage(eight, eight, eight, eight))
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(eight, four, 4, 2, 1),
            *_stage(four, four, four, first=nn.ReLU(inplace=True), norm=False),
            nn.Conv2d(four, bins, 1),
        )
        self.model_out = nn.Conv2d(bins, 2, 1, bias=False)

    @property
    def palette(self) -> torch.Tensor:
        """`[Q, 2]`: a* and b* of its colours, which the file brings along."""
        return REACH * self.model_out.weight.detach()[:, :, 0, 0].T

    def forward(self, lightness: torch.Tensor) -> torch.Tensor:
        """L* `[B, 1, H, W]`, sides multiples of 8, to logits `[B, 313, H / 4, W / 4]`."""
        x = (lightness - MIDDLE) / SPAN
        for number in range(1, 9):
            x = getattr(self, f"model{number}")(x)
        return x


class Zhang2017(nn.Module):
    def __init__(self, width: int = 64, bins: int = 529) -> None:
        super().__init__()
        one, two, four, eight = width, 2 * width, 4 * width, 8 * width
        self.model1 = nn.Sequential(*_stage(4, one, one))
        self.model2 = nn.Sequential(*_stage(one, two, two))
        self.model3 = nn.Sequential(*_stage(two, four, four, four))
        self.model4 = nn.Sequential(*_stage(four, eight, eight, eight))
        self.model5 = nn.Sequential(*_stage(eight, eight, eight, eight, dilation=2))
        self.model6 = nn.Sequential(*_stage(eight, eight, eight, eight, dilation=2))
        self.model7 = nn.Sequential(*_stage(eight, eight, eight, eight))
        self.model8up = nn.Sequential(nn.ConvTranspose2d(eight, four, 4, 2, 1))
        self.model3short8 = nn.Sequential(nn.Conv2d(four, four, 3, 1, 1))
        self.model8 = nn.Sequential(*_stage(four, four, four, first=nn.ReLU()))
        self.model9up = nn.Sequential(nn.ConvTranspose2d(four, two, 4, 2, 1))
        self.model2short9 = nn.Sequential(nn.Conv2d(two, two, 3, 1, 1))
        self.model9 = nn.Sequential(*_stage(two, two, first=nn.ReLU()))
        self.model10up = nn.Sequential(nn.ConvTranspose2d(two, two, 4, 2, 1))
        self.model1short10 = nn.Sequential(nn.Conv2d(one, two, 3, 1, 1))
        self.model10 = nn.Sequential(nn.ReLU(), nn.Conv2d(two, two, 3, 1, 1), nn.LeakyReLU(0.2))
        # Was trained beside the colours, and is in the file.
        self.model_class = nn.Sequential(nn.Conv2d(four, bins, 1))
        self.model_out = nn.Sequential(nn.Conv2d(two, 2, 1), nn.Tanh())

    def forward(
        self, lightness: torch.Tensor, hints: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        """L* `[B, 1, H, W]`, sides multiples of 8, a* and b* of the hints `[B, 2, H, W]`, and 1
        where there is one `[B, 1, H, W]`, else 0; to a* and b* `[B, 2, H, W]`."""
        given = torch.cat([(lightness - MIDDLE) / SPAN, hints / REACH, known], 1)
        whole = self.model1(given)
        half = self.model2(whole[:, :, ::2, ::2])
        quarter = self.model3(half[:, :, ::2, ::2])
        x = quarter[:, :, ::2, ::2]
        for stage in (self.model4, self.model5, self.model6, self.model7):
            x = stage(x)
        x = self.model8(self.model8up(x) + self.model3short8(quarter))
        x = self.model9(self.model9up(x) + self.model2short9(half))
        x = self.model10(self.model10up(x) + self.model1short10(whole))
        colors: torch.Tensor = REACH * self.model_out(x)
        return colors
