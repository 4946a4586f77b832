"""What else is asked of a restored picture than to be near the truth point by point, which makes
what cannot be known a mean of all that it may be: that it looks like it, and that it looks real."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from ..predictor import glance

STAGES = 5
"""Of the blocks of the network that looks: as deep as 32 channels for squares of 8 pixels."""
WIDTH = 48
"""Features of a critic."""
RATE = 2e-4
"""Of a critic's learning, by Adam."""


def unlike(made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """How far apart two batches `[B, 3, H, W]` in 0..1 look to a network that knows photographs:
    `[B]`, as shares of what it sees, 0 for equal ones."""
    ours, theirs = glance.stages(made, STAGES), glance.stages(truth.detach(), STAGES)
    off = [
        (one - other).abs().mean((1, 2, 3)) / other.abs().mean((1, 2, 3))
        for one, other in zip(ours, theirs, strict=True)
    ]
    return torch.stack(off).mean(0)


class Critic(nn.Module):
    """Tells photographs from what a network has made, at every place. It learns beside that one,
    from pairs: of a photograph and its restored form it says which is which, as in the relativistic
    loss of Jolicoeur-Martineau 2018. Spectral norms (Miyato et al. 2018) keep its slopes small."""

    def __init__(self, fold: int) -> None:
        """`fold`: pixels along a side that it sees as one."""
        super().__init__()
        self.fold = fold
        norm = nn.utils.parametrizations.spectral_norm
        channels = [3 * fold**2, WIDTH, 2 * WIDTH, 2 * WIDTH, 2 * WIDTH]
        layers: list[nn.Module] = []
        for number, (given, made) in enumerate(pairwise(channels)):
            kernel, stride = (4, 2) if number == 1 else (3, 1)
            layers += [norm(nn.Conv2d(given, made, kernel, stride, 1)), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, norm(nn.Conv2d(channels[-1], 1, 3, 1, 1)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """`[B, 3, H, W]` in 0..1 to `[B, 1, h, w]`: above 0 where it looks real."""
        made: torch.Tensor = self.body(functional.pixel_unshuffle(2 * image - 1, self.fold))
        return made


class Opponent(nn.Module):
    """A critic and what it learns by."""

    def __init__(self, fold: int) -> None:
        super().__init__()
        self.critic = Critic(fold).to(memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(self.critic.parameters(), lr=RATE, betas=(0.5, 0.99))

    def judge(self, made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """How clearly a batch `[B, 3, H, W]` is told from the truth; log 2 where it cannot be."""
        self.critic.requires_grad_(False)
        with torch.no_grad():
            real = self.critic(truth)
        return functional.softplus(real - self.critic(made)).mean()

    def learn(self, made: torch.Tensor, truth: torch.Tensor) -> None:
        """Once, to tell these from one another."""
        self.critic.requires_grad_(True)
        self.adam.zero_grad()
        loss: torch.Tensor = functional.softplus(self.critic(made) - self.critic(truth)).mean()
        torch.autograd.backward(loss)
        self.adam.step()
