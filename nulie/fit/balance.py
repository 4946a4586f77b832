"""Fits what guesses the colour of the light, see `nulie.predictor.balance`.

Light of another colour falls on parts of photographs, spoiled otherwise as well, and the filters
learn to find it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from ..color import from_light, lab, to_linear
from ..predictor import balance, glance
from .parts import PARTS, VARIANTS, draw, levels, small
from .ways import spoil, tinged

WARM, TINT = 1.2, 0.5
"""Stops: most by which red is lighter than blue or darker, and green than both."""
UNTINGED, UNSPOILED = 0.3, 0.4
"""Shares of the examples in the light that they were in, and of those that nothing else spoils."""
BATCH, COMPARED = 48, 128
"""Examples a step, and their pixels that are compared with what they should be."""
LEAST_STEPS = 20
"""With fewer the rates of learning have no time to rise and fall."""
RATE, KINDS_RATE, DECAY = 0.1, 2e-3, 0.05
"""Rates of learning, of the filters and of the kinds of places; the decay of the latter."""
SMOOTH, SMALL = 1e-3, 1e-5
"""What differences between neighbours in a filter cost, squared, and the filter itself."""
LIKELY = 0.3
"""What a nat costs by which the true cast is less likely; a CIELAB unit costs one."""
WORSE = 0.1
"""What a CIELAB unit costs besides by which it is farther from the truth than it was."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Examples:
    """N parts of photographs."""

    cells: torch.Tensor
    """`[N, glance.CHANNELS, C]` float16, of a glance."""
    seen: torch.Tensor
    """`[N, 3, SIDE, SIDE]` uint8, see `balance.counted`."""
    truth: torch.Tensor
    """The same without the cast."""
    stops: torch.Tensor
    """`[N, 2]` of the cast."""


def fit(
    photos: Sequence[torch.Tensor],
    seed: int,
    *,
    examples: int,
    steps: int,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Weights for `balance.guess` from `[3, H, W]` uint8 photographs."""
    made = make_examples(photos, examples, torch.Generator().manual_seed(seed), progress)
    generator = torch.Generator().manual_seed(seed)
    return train(made, generator, steps=max(LEAST_STEPS, steps), progress=progress)


def make_examples(
    photos: Sequence[torch.Tensor], count: int, generator: torch.Generator, progress: Progress
) -> Examples:
    """At least `count` examples from `[3, H, W]` uint8 photographs."""
    chunks = []
    for done in range(0, count, PARTS * VARIANTS):
        progress("tingeing photographs", done / count)
        parts, _ = draw(photos, generator)
        alone, untinged = torch.rand(2, len(parts), 1, generator=generator)
        clean = (alone < UNSPOILED)[:, :, None, None]
        parts = torch.where(clean, parts, spoil(parts, generator, casts=False))
        warm, tint = 2 * torch.rand(2, len(parts), generator=generator) - 1
        stops = torch.stack([-TINT * tint - WARM / 2 * warm, WARM / 2 * warm - TINT * tint], 1)
        stops = stops * (untinged >= UNTINGED)
        tinted = small(levels(tinged(parts, stops)))
        seen = balance.counted(tinted), balance.counted(small(parts))
        chunks.append([glance.cells(tinted).half(), *seen, stops])
    return Examples(*map(torch.cat, zip(*chunks, strict=True)))


def train(
    examples: Examples, generator: torch.Generator, *, steps: int, progress: Progress
) -> dict[str, torch.Tensor]:
    """Weights for `balance.guess`: what a photo looks like in another light shall be as near as
    possible to the truth, and the true cast likely."""

    def random(rows: int, columns: int) -> torch.Tensor:
        bound = rows**-0.5
        return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)

    weights = {name: torch.zeros(shape) for name, shape in balance.SHAPES.items()}
    for name in ("balance.p", "balance.r"):
        weights[name] = random(*balance.SHAPES[name])
    filters = [weights[name].requires_grad_() for name in ("balance.filters", "balance.prior")]
    kinds = [weights["balance." + name].requires_grad_() for name in "pqrs"]
    groups = [
        {"params": filters, "weight_decay": 0.0},
        {"params": kinds, "weight_decay": DECAY},
    ]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [RATE, KINDS_RATE], total_steps=steps, pct_start=0.1
    )
    for step in range(steps):
        progress("learning casts", step / steps)
        rows = torch.randint(len(examples.seen), (BATCH,), generator=generator)
        places = torch.randint(balance.SIDE**2, (COMPARED,), generator=generator)
        loss = _loss(weights, examples, rows, places)
        for filter in filters:
            rough = sum((filter - filter.roll(1, side)).square().sum() for side in (-1, -2))
            loss = loss + SMOOTH * rough + SMALL * filter.square().sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        optimizer.step()
        schedule.step()
    return {name: weight.detach() for name, weight in weights.items()}


def _loss(
    weights: balance.Weights, examples: Examples, rows: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    likely = balance.log_likelihood(weights, examples.seen[rows], examples.cells[rows].float())
    seen, truth = (e[rows].flatten(2)[:, :, places] for e in (examples.seen, examples.truth))
    pixels = balance.balanced(seen.float() / 255, balance.mean(likely)[0])
    made, wanted, given = from_light(to_linear(pixels)), lab(truth), lab(seen)
    # The root's slope is endless at zero.
    left, was = (((x - wanted).square().sum(1) + 1e-4).sqrt().mean(1) for x in (made, given))
    first, second = (
        (examples.stops[rows] / balance.STOPS_PER_BIN + balance.BINS // 2).round().long().unbind(1)
    )
    missed = functional.nll_loss(likely.flatten(1), first * balance.BINS + second)
    return left.mean() + WORSE * (left - was).clamp(min=0).mean() + LIKELY * missed
