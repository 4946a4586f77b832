"""Trains a restorer: photographs are spoiled, and the network learns to give them back."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

from ..models import device as devices
from ..restore.base import KIND
from ..restore.net import Net
from . import critics, spoil

PATCH, BATCH, GPU_BATCH = 48, 16, 32
"""Side of a patch at the resolution at which the convolutions work, and patches in a step: as many
again cost a GPU next to nothing."""
AHEAD = 4
"""Processes that prepare the steps to come while a GPU is at work; such a step takes some ms."""
RATE, HIDDEN_RATE, INERTIA = 3e-4, 0.02, 0.95
"""Rates of learning at their height, of Adam's share and of kernels between features; and how much
of a step's momentum is that of the step before."""
GENTLE = 0.3
"""Share of the rates for a network that knows its job, and is to learn of other pictures alone."""
WARM_UP = 0.02
"""Share of the steps in which the rates rise; then they fall as a cosine."""
LOOKS, REALITY = 2.0, 0.15
"""What the looks of a picture weigh, and how real it seems, beside its error."""
MEMORY = 0.999
"""Share of the moving average of the weights that a step keeps, at the end."""
SOFTNESS = 1e-3
"""Of the Charbonnier loss, sqrt(error² + softness²), in parts of the range 0..1."""


@dataclass(frozen=True)
class Job:
    """What a network shall learn."""

    spoil: spoil.Spoil | None
    """None where it shall enlarge."""
    map: str = ""
    """What its map of strength means, one of `restore.own.DIALS`; empty without one."""
    scale: int = 1
    grey: float = 0.0
    """Share of the patches whose colors are taken away before they are spoiled."""

    @property
    def side(self) -> int:
        """Of a patch of a clean photo, in pixels."""
        return PATCH * (2 if self.scale == 1 else self.scale)


JOBS = {
    "x2": Job(None, scale=2),
    "x4": Job(None, scale=4),
    "repair": Job(spoil.jpeg, map="quality"),
    "denoise": Job(spoil.noise, map="sigma"),
    "scan": Job(spoil.scan, grey=0.35),
}


def hidden_kernels(net: Net) -> list[torch.Tensor]:
    """Those between layers of features, `[F, F, 3, 3]`."""
    convs = [layer for layer in net.body if isinstance(layer, nn.Conv2d)]
    return [conv.weight for conv in convs[1:-1]]


def deepened(weights: Mapping[str, torch.Tensor], depth: int) -> dict[str, torch.Tensor]:
    """Weights of a `Net` of more hidden layers that does the same: the new ones, spread among the
    others, pass on what they are given, and learn to do more. After Chen, Goodfellow and Shlens,
    "Net2Net: Accelerating learning via knowledge transfer", 2016."""
    names = sorted(weights, key=lambda name: int(name.split(".")[1]))
    layers = [
        {name.rpartition(".")[2]: weights[name] for name in group}
        for _, group in groupby(names, lambda name: name.split(".")[1])
    ]
    hidden, features = len(layers) // 2 - 1, len(weights["body.0.weight"])
    passing = torch.zeros(features, features, 3, 3)
    passing[:, :, 1, 1] = torch.eye(features)
    new = [{"weight": passing, "bias": torch.zeros(features)}, {"weight": torch.ones(features)}]
    for number in range(more := depth - hidden):
        at = 2 * (number + 1 + (number + 1) * hidden // more)
        layers[at:at] = new
    return {
        f"body.{at}.{name}": value for at, one in enumerate(layers) for name, value in one.items()
    }


class Muon:
    """Momentum whose matrices are made orthogonal, for the kernels between layers of features;
    Adam for all else. After Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
    networks", with its coefficients of the Newton-Schulz iteration. In 500 steps it comes as far
    as Adam in several thousand."""

    def __init__(self, net: Net) -> None:
        self.hidden = hidden_kernels(net)
        self.momentum = torch.zeros_like(torch.stack([k.detach().flatten(1) for k in self.hidden]))
        """Of all of them at once, `[layers, F, 9 F]`."""
        others = {id(p): p for p in net.parameters()}
        for kernel in self.hidden:
            del others[id(kernel)]
        self.adam = torch.optim.Adam(others.values(), betas=(0.9, 0.99))

    @torch.no_grad()
    def step(self, share: float) -> None:
        """One step with `share` of the full rates."""
        for group in self.adam.param_groups:
            group["lr"] = share * RATE
        self.adam.step()
        slopes = torch.stack([k.grad.flatten(1) for k in self.hidden if k.grad is not None])
        self.momentum.lerp_(slopes, 1 - INERTIA)
        turned = slopes.lerp(self.momentum, INERTIA)
        turned = turned / (turned.norm(dim=(1, 2), keepdim=True) + 1e-7)
        for _ in range(5):
            square = turned @ turned.mT
            turned = 3.4445 * turned + (2.0315 * square @ square - 4.775 * square) @ turned
        for kernel, move in zip(self.hidden, turned, strict=True):
            kernel.sub_(move.view(kernel.shape), alpha=share * HIDDEN_RATE)


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""What a network sees, `[B, 3, P, P]`, what it should give, and the strengths, `[B]`."""


@dataclass(frozen=True)
class Patches(torch.utils.data.Dataset[Batch]):
    """What is learned from: step by step the same for the same seed, wherever one begins."""

    job: Job
    photos: Sequence[npt.NDArray[Any]]
    """`[H, W, 3]` uint8, clean; no side below `job.side`."""
    spoiled: Sequence[npt.NDArray[Any]]
    """The same photos as they are to be mended, or enlarged; none where `job` spoils them."""
    seed: int
    count: int
    """In a step."""

    def __getitem__(self, step: int) -> Batch:
        """Pictures in uint8."""
        rng = np.random.default_rng((self.seed, step))
        pairs = [self._pair(rng) for _ in range(self.count)]
        seen, truth, strengths = zip(*pairs, strict=True)
        return _tensor(seen), _tensor(truth), torch.tensor(strengths, dtype=torch.float32)

    def __len__(self) -> int:
        return 2**62  # there is no end to them

    def _pair(self, rng: np.random.Generator) -> tuple[npt.NDArray[Any], npt.NDArray[Any], float]:
        scale, side = self.job.scale, self.job.side
        number = int(rng.integers(len(self.photos)))
        photo = self.photos[number]
        y, x = (int(rng.integers(0, (n - side) // scale + 1)) * scale for n in photo.shape[:2])
        truth = photo[y : y + side, x : x + side]
        flip, mirror = rng.integers(2, size=2)
        turn = bool(rng.integers(2))

        def turned(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
            pixels = pixels[:: 1 - 2 * flip, :: 1 - 2 * mirror]
            return np.ascontiguousarray(pixels.transpose(1, 0, 2) if turn else pixels)

        if self.spoiled:
            y, x, side = y // scale, x // scale, side // scale
            seen = self.spoiled[number][y : y + side, x : x + side]
            return turned(seen), turned(truth), 0.0
        if self.job.spoil is None:
            small = smaller(Image.fromarray(photo), scale, (x, y, x + side, y + side))
            return turned(np.asarray(small)), turned(truth), 0.0
        # Turned first: blocks of JPEG and lines of a halftone lie as they do in pictures.
        truth = turned(truth)
        if self.job.grey and rng.random() < self.job.grey:
            truth = spoil.grey(truth)
        seen, strength = self.job.spoil(truth, rng)
        return seen, truth, float(strength)

    def ahead(self, step: int) -> Iterator[Batch]:
        """Those of `step` and all after it, prepared by processes of their own, which a GPU would
        have to wait for; where such processes need not be given the photos over again, and may
        follow what has begun to use a GPU."""
        forks = platform.system() == "Linux"
        workers = min(AHEAD, (os.cpu_count() or 1) - 1) if forks else 0
        context = "fork" if workers else None
        loader: Iterable[Batch] = torch.utils.data.DataLoader(
            self, None, sampler=range(step, len(self)), num_workers=workers,
            multiprocessing_context=context, prefetch_factor=8 if workers else None,
        )  # fmt: skip
        return iter(loader)


@dataclass
class Training:
    """A training that can be stopped and gone on with: `step` until its share is 1."""

    job: Job
    photos: Sequence[npt.NDArray[Any]]
    """`[H, W, 3]` uint8, clean; no side below `job.side`."""
    spoiled: Sequence[npt.NDArray[Any]] = ()
    """The same photos as they are to be mended, or enlarged; none where `job` spoils them."""
    features: int = 48
    depth: int = 8
    seed: int = 0
    start: Mapping[str, torch.Tensor] | None = None
    """Weights to begin with: of a network of the same features, of any scale, and not deeper."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    perceptual: bool = False
    """Whether it shall also look like the truth, see `critics.unlike`."""
    adversarial: bool = False
    """Whether it shall also look real, to a `critics.Critic` that learns beside it."""
    done: int = field(default=0, init=False)
    """Steps."""

    def __post_init__(self) -> None:
        on_gpu = self.device.type != "cpu"
        count = GPU_BATCH if on_gpu else BATCH
        self.patches = Patches(self.job, self.photos, self.spoiled, self.seed, count)
        self._prepared: Iterator[Batch] | None = None
        self._off: torch.Tensor | None = None
        with torch.random.fork_rng(devices=()):  # others' random numbers stay theirs
            torch.manual_seed(self.seed)
            self.net = Net(self.job.scale, self.features, self.depth, bool(self.job.map))
            self.opponent = critics.Opponent(max(2, self.job.scale)) if self.adversarial else None
        with torch.no_grad():
            list(self.net.parameters())[-2].mul_(0.1)  # to begin with the picture as it is
            for kernel in hidden_kernels(self.net):
                # What a layer is given goes on to the next: noise is learned in half the steps.
                kernel.mul_(0.5)
                kernel[:, :, 1, 1] += torch.eye(len(kernel))
        self._pace = 1.0
        if self.start is not None:
            own, start = self.net.state_dict(), deepened(self.start, self.depth)
            alike = {k: v.float() for k, v in start.items() if v.shape == own[k].shape}
            self.net.load_state_dict(own | alike)
            self._pace = GENTLE if len(alike) == len(own) else 1.0
        self.net.to(self.device)
        self.net.to(memory_format=torch.channels_last)
        if self.opponent is not None:
            self.opponent.to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.net.named_parameters()}
        self.optimizer = Muon(self.net)
        self._dtype = devices.dtype("auto", self.device)
        if self._dtype == torch.float16:
            self._dtype = torch.bfloat16  # whose range needs no care

    def step(self, share: float) -> float:
        """One step, with so much of the training done; the mean error of the one before, which
        need not be waited for, in parts of the range."""
        rate = self._pace * min(1, share / WARM_UP + 1e-3) * (0.5 + 0.5 * math.cos(math.pi * share))
        seen, truth, strength = self._batch()
        with self._rounded():
            given = self.net(seen, strength)
        given = given.float()
        errors = ((given - truth).square() + SOFTNESS**2).sqrt().mean((1, 2, 3))
        # A share of the error counts, as in decibels: a weak fault as much as a strong one, or the
        # network would spoil what is hardly spoiled.
        loss = errors.log().mean()
        with self._rounded():
            if self.perceptual:
                loss = loss + LOOKS * critics.unlike(given, truth).log().mean()
            if self.opponent is not None:
                loss = loss + REALITY * self.opponent.judge(given, truth)
        for parameter in self.net.parameters():
            parameter.grad = None
        loss.backward()
        self.optimizer.step(rate)
        if self.opponent is not None:
            with self._rounded():
                self.opponent.learn(given.detach(), truth)
        self.done += 1
        keep = min(MEMORY, self.done / (self.done + 10))
        with torch.no_grad():
            average = list(self.average.values())
            torch._foreach_lerp_(average, list(self.net.parameters()), 1 - keep)
        latest = errors.detach().mean()
        before, self._off = latest if self._off is None else self._off, latest
        return float(before)

    def _batch(self) -> Batch:
        """That of this step, with pictures in 0..1."""
        if self.device.type == "cpu":
            seen, truth, strength = self.patches[self.done]
        else:
            if self._prepared is None:
                self._prepared = self.patches.ahead(self.done)
            seen, truth, strength = (part.to(self.device) for part in next(self._prepared))
        return seen.float().div_(255), truth.float().div_(255), strength

    def _rounded(self) -> torch.autocast:
        rounded = self._dtype != torch.float32
        return torch.autocast(self.device.type, self._dtype if rounded else None, enabled=rounded)

    def state(self) -> dict[str, Any]:
        """What `load_state` needs in order to go on, for `torch.save`."""
        opponent = self.opponent
        against = opponent and {"critic": opponent.state_dict(), "by": opponent.adam.state_dict()}
        return {
            "done": self.done,
            "opponent": against,
            "net": self.net.state_dict(),
            "average": self.average,
            "momentum": self.optimizer.momentum,
            "adam": self.optimizer.adam.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.done = state["done"]
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        self.optimizer.momentum = state["momentum"]
        self.optimizer.adam.load_state_dict(state["adam"])
        self._prepared = None
        if self.opponent is not None:
            self.opponent.load_state_dict(state["opponent"]["critic"])
            self.opponent.adam.load_state_dict(state["opponent"]["by"])


def to_bytes(weights: Mapping[str, torch.Tensor], job: Job, **facts: str) -> bytes:
    """The file of `nulie.restore.own.Own`, in half precision, that says `facts` of itself, too."""
    half = {name: value.half().contiguous() for name, value in weights.items()}
    said = {"scale": job.scale, "map": job.map, **facts}
    # One entry: several would be written in any order, and the same training in other bytes.
    return save(half, {KIND: json.dumps(said)})


def psnr(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Peak signal to noise ratio of two `[..., 3]` uint8 pictures in dB, 99 if they are equal."""
    error = float(np.mean((one.astype(np.float32) - other) ** 2))
    return min(99.0, 10 * math.log10(255**2 / error)) if error else 99.0


def smaller(photo: Image.Image, scale: int, box: tuple[int, int, int, int]) -> Image.Image:
    """The part of a photo within `box`, as it is in the photo reduced by `scale`."""
    size = ((box[2] - box[0]) // scale, (box[3] - box[1]) // scale)
    return photo.resize(size, Image.Resampling.BICUBIC, box=box)


def _tensor(pixels: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
