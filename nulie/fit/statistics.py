"""Fits the predictor `statistics` to a collection of good photographs.

The examples make themselves: a part of a photograph is spoiled by a random chain of operations,
and the networks learn to say, from statistics of the spoiled one, how to render it so that it comes
as near as possible to the photograph. What a user thinks a good photograph is, is thus learned
from the folder alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from ..color import from_light, lab, to_linear
from ..errors import ModelError
from ..predictor import glance, statistics
from ..predictor.statistics import (
    GATHERED,
    NOTED,
    OUTPUTS,
    PLACES,
    features,
    forward,
    render,
)
from . import balance
from .parts import PARTS, VARIANTS, draw, small, taken
from .ways import spoil

MIN_PHOTOS = 8
"""With fewer the networks would learn single photographs by heart."""
PIXELS = 128
"""Pixels of an example on which a rendering is compared."""
HARM = 1.0
"""What a CIELAB unit costs by which a rendering is paler or flatter than both the photograph and
what was made of it; a unit of distance costs one. Vivid photographs are rare, and look like spoiled
ones: without this, the least error is made by dulling them all. Recovery loses a fiftieth by it."""
WORSE = 0.1
"""What a CIELAB unit costs besides by which a rendering is farther from the photograph than what
was made of it: to spoil a good photograph is worse than to leave a poor one as it is."""
CASTS, CAST_STEPS = 0.5, 0.8
"""Examples and steps that come on top for the colour of the light, as shares of the others. With a
third of the steps a thirteenth more is left of casts, with thrice as many no less, and good
photographs are moved by a seventh more. The members learn beside that: from examples out of which
it is taken first they learned no better."""
HIDDEN = 96
"""Units of a hidden layer."""
BATCH = 256

Progress = Callable[[str, float], None]
"""Is told what is going on and the share of it that is done, 0..1."""


@dataclass(frozen=True)
class Examples:
    """N spoiled parts of photographs."""

    seen: torch.Tensor
    """`[N, F]` float32, features of the spoiled part."""
    cells: torch.Tensor
    """`[N, glance.CHANNELS, C]` float16, what is seen in it at a glance."""
    spoiled: torch.Tensor
    """`[N, 3, PIXELS]` uint8, some of its pixels."""
    truth: torch.Tensor
    """`[N, 3, PIXELS]` uint8, the same pixels as they should be."""
    photo: torch.Tensor
    """`[N]` number of the photograph."""


def fit(
    photos: Iterable[Image.Image],
    *,
    seed: int = 0,
    examples: int = 40_000,
    steps: int = 1_000,
    members: int = 6,
    progress: Progress = lambda what, share: None,
) -> statistics.Weights:
    """Parameters for `statistics.write`, from RGB photographs of any size, read one at a time.

    The time goes with `examples` and with `steps` x `members`. Raises: ModelError when there
    are fewer than `MIN_PHOTOS`."""
    known = [taken(photo) for photo in photos]
    if len(known) < MIN_PHOTOS:
        raise ModelError(f"{len(known)} photographs are too few; give at least {MIN_PHOTOS}")
    generator = torch.Generator().manual_seed(seed)
    made = make_examples(known, examples, generator, progress)
    weights = train(made, generator, steps=steps, members=members, progress=progress)
    of_light = balance.fit(
        known, seed, examples=round(CASTS * examples), steps=round(CAST_STEPS * steps),
        progress=progress,
    )  # fmt: skip
    return weights | of_light


def make_examples(
    photos: Sequence[torch.Tensor],
    count: int,
    generator: torch.Generator,
    progress: Progress = lambda what, share: None,
) -> Examples:
    """At least `count` examples from `[3, H, W]` uint8 photographs."""
    chunks = []
    for done in range(0, count, PARTS * VARIANTS):
        progress("spoiling photographs", done / count)
        chunks.append(_chunk(photos, generator))
    return Examples(*map(torch.cat, zip(*chunks, strict=True)))


def _chunk(photos: Sequence[torch.Tensor], generator: torch.Generator) -> list[torch.Tensor]:
    """The fields of `Examples` for parts of the same shape."""
    parts, numbers = draw(photos, generator)
    spoiled, truth = small(spoil(parts, generator)), small(parts)
    places = torch.randint(truth[0, 0].numel(), (PIXELS,), generator=generator)
    some = [images.flatten(2)[:, :, places] for images in (spoiled, truth)]
    return [features(spoiled), glance.cells(spoiled).half(), *some, numbers]


def train(
    examples: Examples,
    generator: torch.Generator,
    *,
    steps: int = 1_000,
    members: int = 6,
    rate: float = 2e-3,
    decay: float = 0.1,
    drop: float = 0.2,
    progress: Progress = lambda what, share: None,
) -> dict[str, torch.Tensor]:
    """Fits all members at once, each to examples in an order of its own: the mean CIE76 distance
    between the rendering and the truth shall be small. Half of the members do without the glance:
    they know casts better, the others tones, and disagree where both should hold back."""
    with torch.random.fork_rng(devices=[]):  # dropout knows no generator of its own
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        weights = _initial(examples.seen, members, generator)
        fitted = [
            w.requires_grad_() for name, w in weights.items() if name not in ("mean", "scale")
        ]
        first = weights["w1"]
        features_alone = first.shape[1] - GATHERED
        optimiser = torch.optim.AdamW(fitted, lr=rate, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rate, total_steps=steps, pct_start=0.1
        )
        for step in range(steps):
            progress("fitting", step / steps)
            rows = torch.randint(len(examples.seen), (members, BATCH), generator=generator)
            cells = examples.cells[rows.flatten()].float()
            described = forward(weights, examples.seen[rows], cells, drop)
            # Too small to cost anything, it keeps outputs that make no difference at rest.
            loss = _loss(described, examples, rows) + 1e-3 * described.pow(2).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
            optimiser.step()
            with torch.no_grad():
                first[: members // 2, features_alone:] = 0
            schedule.step()
    return {name: weight.detach() for name, weight in weights.items()}


def _initial(
    seen: torch.Tensor, members: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Random networks that say to leave every photograph as it is."""

    def random(rows: int, columns: int) -> torch.Tensor:
        bound = rows**-0.5
        return torch.empty(members, rows, columns).uniform_(-bound, bound, generator=generator)

    return {
        "mean": seen.mean(0),
        "scale": seen.std(0) + 0.02,
        "p": random(glance.CHANNELS, NOTED),
        "q": torch.zeros(members, 1, NOTED),
        "g": random(NOTED, PLACES),
        "w1": random(seen.shape[1] + GATHERED, HIDDEN),
        "b1": torch.zeros(members, 1, HIDDEN),
        "w2": random(HIDDEN, HIDDEN),
        "b2": torch.zeros(members, 1, HIDDEN),
        "w3": torch.zeros(members, HIDDEN, OUTPUTS),
        "b3": torch.zeros(members, 1, OUTPUTS),
    }


def _loss(described: torch.Tensor, examples: Examples, rows: torch.Tensor) -> torch.Tensor:
    """Mean CIE76 distance of the renderings to the truth, and the harm done (see `HARM`)."""
    at = rows.flatten()
    rendered = render(described.flatten(0, 1), examples.spoiled[at].float() / 255).clamp(0, 1)
    made, truth, given = (
        from_light(to_linear(rendered)),
        lab(examples.truth[at]),
        lab(examples.spoiled[at]),
    )
    harm = sum(
        (torch.minimum(of(truth), of(given)) - of(made)).clamp(min=0) for of in (_chroma, _relief)
    )
    # The root's slope is endless at zero.
    apart = ((made - truth).pow(2).sum(1) + 1e-4).sqrt()
    # What is farther from the truth than the input was costs once more.
    before = ((given - truth).pow(2).sum(1) + 1e-4).sqrt().mean(1)
    worse = (apart.mean(1) - before).clamp(min=0)
    return (apart + HARM * harm).mean() + WORSE * worse.mean()


def _chroma(colours: torch.Tensor) -> torch.Tensor:
    """Of CIELAB pixels `[B, 3, N]`: `[B, N]`, CIELAB units."""
    return (colours[:, 1:].pow(2).sum(1) + 1e-3).sqrt()


def _relief(colours: torch.Tensor) -> torch.Tensor:
    """How far the lightness of CIELAB pixels `[B, 3, N]` lies from their mean: `[B, N]`."""
    return (colours[:, 0] - colours[:, 0].mean(1, keepdim=True)).abs()
