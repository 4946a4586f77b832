"""Trains the decoder that guesses colours: photographs lose theirs, and it learns to tell them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save
from torch.nn import functional

from .. import color
from ..models import device as devices
from ..restore.color_models import AREA, KIND, fitting, lightness
from ..restore.color_net import (
    DEEPEST,
    REACH,
    STRIDE,
    Decoder,
    Features,
    Seen,
    annealed,
    grey,
    palette,
    probabilities,
)

SIDE, BATCH = 224, 16
"""Side of what the network sees, in pixels, and such crops in a step."""
FRESH, POOL = 5, 1024
"""Crops that are new in a step, and the latest ones from which a step's are taken: a crop is seen
about three times, for the features of one cost as much as a step of the decoder."""
RATE, DECAY = 2e-3, 0.03
"""Rate of learning at its height, and how fast weights fall to nothing by it (AdamW)."""
WARM_UP = 0.03
MEMORY = 0.999
"""Share of the moving average of the weights that a step keeps, at the end."""
DROP = 0.2
LEAST_AREA = 0.3
"""Share of the photo that a crop has at least."""
NEAREST, SPREAD = 5, 5.0
"""A true colour counts as the nearest so many of the palette's, by a Gaussian of this deviation."""
BALANCE = 0.35
"""How much more rare colours count than frequent ones: the power of how rare they are. With 1
greys count as little as they do in Zhang's, and with 0 all photos become brown."""
TEMPERATURE = 0.38
"""Of the annealed mean, by which the colours are judged in training, too."""
NEARNESS = 2.0
"""What being off by as much as grey is costs, beside the cross entropy in nats."""
DULL = 8.0
"""Added to how far grey is off, so that photos with little colour do not count too much."""

LIVELY = 0.65
"""Colorfulness that is wanted of pictures kept apart, as a share of the true one."""


@cache
def soft_targets() -> tuple[torch.Tensor, torch.Tensor]:
    """For each whole a* and b* in -110..110, `[221, 221, 5]` each: which colours of the palette it
    counts as, and by what shares."""
    side = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
    near = torch.cdist(torch.cartesian_prod(side, side), palette()).topk(NEAREST, largest=False)
    shares = functional.softmax(-near.values.square() / (2 * SPREAD**2), 1)
    shape = (len(side), len(side), NEAREST)
    return near.indices.view(shape), shares.view(shape)


@dataclass
class Batch:
    seen: Seen
    truth: torch.Tensor
    """`[B, 2, S, S]`: a* and b* where the decoder says them."""


@dataclass
class Training:
    """A training that can be stopped and gone on with: `step` until its share is 1."""

    features: Features
    photos: Sequence[npt.NDArray[Any]]
    """`[H, W, 3]` uint8, in colour; their short sides best about 256."""
    seed: int = 0
    start: Mapping[str, torch.Tensor] | None = None
    """Weights of a decoder to begin with."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    done: int = field(default=0, init=False)
    """Steps."""

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        with torch.random.fork_rng(devices=()):  # others' random numbers stay theirs
            torch.manual_seed(self.seed)
            self.net = Decoder(drop=DROP)
            self.random = torch.get_rng_state()
        if self.start is not None:
            self.net.load_state_dict({name: value.float() for name, value in self.start.items()})
        for part in (self.net, self.features):
            part.to(self.device)
            part.to(memory_format=torch.channels_last)
        self.net.train()
        self.average = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.net.parameters(), weight_decay=DECAY)
        self.balance = self._balance().to(self.device)
        self._pool: list[tuple[torch.Tensor, ...]] = []
        self._rounded = devices.dtype("auto", self.device) != torch.float32

    def _balance(self) -> torch.Tensor:
        """`[Q]`: what the palette's colours count, 1 on the mean over all places."""
        counts = torch.zeros(len(palette()))
        index, shares = soft_targets()
        for photo in self.photos:
            ab = _ab(torch.from_numpy(photo[::4, ::4].copy()))
            a, b = (ab.flatten(1).round().long() + REACH).clamp(0, 2 * REACH)
            counts.index_add_(0, index[a, b].flatten(), shares[a, b].flatten() / a.numel())
        share = counts / counts.sum()
        weights: torch.Tensor = (0.5 * share + 0.5 / len(share)) ** -BALANCE
        return weights / (weights * share).sum()

    def step(self, share: float) -> float:
        """One step, with so much of the training done: how far off the colours are, where grey's
        distance is 1, on the mean over photos."""
        rate = RATE * min(1, share / WARM_UP + 1e-3) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self._batch()
        with torch.random.fork_rng(devices=()):
            torch.set_rng_state(self.random)
            loss, off = self._loss(batch)
            self.random = torch.get_rng_state()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        self.optimizer.step()
        self.done += 1
        keep = min(MEMORY, self.done / (self.done + 10))
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - keep)
                else:
                    self.average[name].copy_(value)
        return off

    def _loss(self, batch: Batch) -> tuple[torch.Tensor, float]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._rounded):
            # Every other place of every other row: neighbours hardly say more.
            top, left = torch.randint(2, (2,)).tolist()
            logits = self.net(batch.seen, (slice(top, None, 2), slice(left, None, 2)))
        logits, truth = logits.float(), batch.truth[..., top::2, left::2]
        index, shares = (table.to(self.device) for table in soft_targets())
        a, b = (truth.round().long() + REACH).clamp(0, 2 * REACH).unbind(1)
        index, shares = index[a, b].permute(0, 3, 1, 2), shares[a, b].permute(0, 3, 1, 2)
        counts = (self.balance[index] * shares).sum(1)
        entropy = -(functional.log_softmax(logits, 1).gather(1, index) * shares).sum(1)
        guess = annealed(logits, TEMPERATURE, palette().to(self.device))
        off = ((guess - truth).square().sum(1) + 1e-3).sqrt().mean((1, 2))
        chroma = truth.square().sum(1).sqrt().mean((1, 2))
        nearness = (off / (chroma + DULL)).mean()
        loss = (counts * entropy).mean() + NEARNESS * nearness
        return loss, float((off.sum() / chroma.sum()).item())

    def _batch(self) -> Batch:
        """`BATCH` of the pool, the fresh ones among them."""
        crops = [self._crop() for _ in range(FRESH if self._pool else 4 * BATCH)]
        grey = torch.stack([crop[0] for crop in crops]).to(self.device)
        grey = grey.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._rounded):
            seen = self.features(grey)
        truth = functional.avg_pool2d(torch.stack([crop[1] for crop in crops]), STRIDE)
        halves = [part.to("cpu", torch.bfloat16) for part in seen]
        fresh = [(*(half[n].clone() for half in halves), truth[n]) for n in range(len(crops))]
        self._pool = (self._pool + fresh)[-POOL:]
        others = self.rng.choice(len(self._pool) - FRESH, BATCH - FRESH, replace=False)
        chosen = [self._pool[n] for n in others] + self._pool[-FRESH:]
        *parts, colors = (torch.stack(part) for part in zip(*chosen, strict=True))
        maps = (p.to(self.device, torch.float32) for p in parts)
        seen = tuple(
            p.contiguous(memory_format=torch.channels_last) if p.ndim == 4 else p for p in maps
        )
        return Batch(seen, colors.to(self.device))

    def _crop(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A part of a photo as the network sees it, `[1, S, S]`, and its a* and b*, `[2, S, S]`."""
        rng = self.rng
        photo = self.photos[int(rng.integers(len(self.photos)))]
        height, width, _ = photo.shape
        area = rng.uniform(LEAST_AREA, 1) * height * width
        aspect = math.exp(rng.uniform(-0.3, 0.3)) * math.sqrt(width / height)
        wide = min(width, math.sqrt(area * aspect))
        high = min(height, math.sqrt(area / aspect))
        left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
        image = Image.fromarray(photo)
        if rng.integers(2):
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        box = (left, top, left + wide, top + high)
        image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
        pixels = torch.from_numpy(np.array(image))
        lab = color.lab(pixels.permute(2, 0, 1)[None])
        return self._lit(grey(lab[:, :1])[0]), lab[0, 1:]

    def _lit(self, levels: torch.Tensor) -> torch.Tensor:
        """A grey picture `[1, S, S]` as another film and another light would have given it."""
        rng = self.rng
        if rng.random() < 0.75:
            levels = levels ** math.exp(rng.normal(0, 0.25))
            middle = float(levels.mean())
            levels = (levels - middle) * math.exp(rng.normal(0, 0.2)) + middle
        if rng.random() < 0.25:
            side = int(rng.integers(SIDE // 3, SIDE))
            small = functional.interpolate(levels[None], size=(side, side), mode="area")
            levels = functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear")[0]
        if rng.random() < 0.25:
            grain = rng.normal(0, rng.uniform(0, 0.05), levels.shape).astype(np.float32)
            levels = levels + torch.from_numpy(grain)
        return levels.clamp(0, 1)

    def state(self) -> dict[str, Any]:
        """What `load_state` needs in order to go on, for `torch.save`; crops are made anew."""
        return {
            "done": self.done,
            "net": self.net.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "random": self.random,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.done = state["done"]
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        self.random = state["random"].cpu()


def _ab(pixels: torch.Tensor) -> torch.Tensor:
    """`[H, W, 3]` uint8 to `[2, H, W]`."""
    return color.lab(pixels.permute(2, 0, 1)[None])[0, 1:]


@dataclass(frozen=True)
class Figures:
    """How near pictures that were coloured are to those in colour; grey ones for comparison."""

    off: float
    """Mean distance in a* and b* (CIE76, for L* is the same)."""
    grey: float
    """That of grey."""
    better: float
    """Share of the pictures that are nearer than grey is."""
    colorful: float
    """Median of their colorfulness, as a share of the true one's."""


def figures(truths: Sequence[npt.NDArray[Any]], made: Sequence[npt.NDArray[Any]]) -> Figures:
    """Of `[H, W, 3]` uint8 pictures."""
    offs, greys, lively = [], [], []
    for truth, guess in zip(truths, made, strict=True):
        true, other = (_ab(torch.from_numpy(pixels.copy())) for pixels in (truth, guess))
        offs.append(float((true - other).square().sum(0).sqrt().mean()))
        greys.append(float(true.square().sum(0).sqrt().mean()))
        lively.append(colorfulness(guess) / max(colorfulness(truth), 1e-6))
    nearer = [off < grey for off, grey in zip(offs, greys, strict=True)]
    off, grey, better = (float(np.mean(values)) for values in (offs, greys, nearer))
    return Figures(off, grey, better, float(np.median(lively)))


def colorfulness(pixels: npt.NDArray[Any]) -> float:
    """Of `[H, W, 3]` uint8, after Hasler and Süsstrunk 2003: 0 is grey, 100 very colourful."""
    red, green, blue = np.moveaxis(pixels.astype(np.float32), 2, 0)
    across, down = red - green, (red + green) / 2 - blue
    spread = math.hypot(float(across.std()), float(down.std()))
    return spread + 0.3 * math.hypot(float(across.mean()), float(down.mean()))


def gain(training: Training, truths: Sequence[npt.NDArray[Any]]) -> float:
    """By how much the average network's colours must be multiplied for pictures to be `LIVELY` of
    the truth, on the median: a mean of what may be is always paler than what is."""
    net = Decoder()
    net.load_state_dict({name: value.float().cpu() for name, value in training.average.items()})
    net.eval()
    features = training.features.to("cpu")
    pairs = []
    with torch.inference_mode():
        for truth in truths:
            picture = Image.fromarray(truth)
            seen = lightness(picture, fitting(picture, DEEPEST, AREA))
            lab = color.lab(torch.from_numpy(truth.copy()).permute(2, 0, 1)[None])
            guess = annealed(probabilities(features, net, seen).log(), TEMPERATURE, palette())
            guess = functional.interpolate(guess, lab.shape[-2:], mode="bilinear")
            pairs.append((lab, guess))
    low, high = 0.5, 3.0
    for _ in range(8):
        middle = (low + high) / 2
        lively = [colorfulness(_shown(lab, middle * ab)) / _true(lab) for lab, ab in pairs]
        low, high = (low, middle) if np.median(lively) > LIVELY else (middle, high)
    return round(middle, 2)


def _shown(lab: torch.Tensor, ab: torch.Tensor) -> npt.NDArray[Any]:
    light = color.to_light(torch.cat([lab[:, :1], ab], 1)).clamp(0, 1)
    levels: npt.NDArray[Any] = (255 * color.to_levels(light)[0]).round().permute(1, 2, 0).numpy()
    return levels


def _true(lab: torch.Tensor) -> float:
    return max(colorfulness(_shown(lab, lab[:, 1:])), 1e-6)


def to_bytes(weights: Mapping[str, torch.Tensor], **facts: float | str) -> bytes:
    """The file of `color_models.Own`, in half precision, that says `facts` of itself, `gain` among
    them."""
    half = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in weights.items()
    }
    return save(half, {KIND: json.dumps(facts)})
