"""Fits the predictor `statistics` to a collection of good photographs.

The examples make themselves: a part of a photograph is spoiled by a random chain of operations,
and the networks learn to say, from statistics of the spoiled one, how to render it so that it comes
as near as possible to the photograph. What a user thinks a good photograph is, is thus learned
from the folder alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch.nn import functional

from ..color import from_light, lab
from ..errors import ModelError
from ..predictor import glance, statistics
from ..predictor.statistics import (
    GATHERED,
    NOTED,
    OUTPUTS,
    PLACES,
    Statistics,
    features,
    forward,
    render,
)

MIN_PHOTOS = 8
"""With fewer the networks would learn single photographs by heart."""
PHOTO_SIDE = 192
"""Short side to which photographs are reduced when they are taken in."""
SPOILED_SIDE = 96
"""Short side at which parts are spoiled, before they shrink to the predictor's size."""
PIXELS = 128
"""Pixels of an example on which a rendering is compared."""
PARTS, VARIANTS = 8, 8
"""Parts of photographs in a chunk of examples, and how many times each is spoiled."""
HARM = 1.0
"""What a CIELAB unit costs by which a rendering is paler or flatter than both the photograph and
what was made of it; a unit of distance costs one. Vivid photographs are rare, and look like spoiled
ones: without this, the least error is made by dulling them all. Recovery loses a fiftieth by it."""
WORSE = 0.1
"""What a CIELAB unit costs besides by which a rendering is farther from the photograph than what
was made of it: to spoil a good photograph is worse than to leave a poor one as it is."""
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
    taken = [_taken(photo) for photo in photos]
    if len(taken) < MIN_PHOTOS:
        raise ModelError(f"{len(taken)} photographs are too few; give at least {MIN_PHOTOS}")
    generator = torch.Generator().manual_seed(seed)
    made = make_examples(taken, examples, generator, progress)
    return train(made, generator, steps=steps, members=members, progress=progress)


def _taken(photo: Image.Image) -> torch.Tensor:
    """`[3, H, W]` uint8 with a short side of at most `PHOTO_SIDE`."""
    scale = min(1.0, PHOTO_SIDE / min(photo.size))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    small = photo.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    raw = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
    return raw.view(size[1], size[0], 3).permute(2, 0, 1).contiguous()


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
    numbers = torch.randint(len(photos), (PARTS,), generator=generator)
    chosen = [photos[number] for number in numbers.tolist()]
    height, width = chosen[0].shape[1:]
    squeezed = math.exp(_uniform(generator, -0.15, 0.15))
    aspect = min(2.0, max(0.5, width / height * squeezed))
    size = _size(SPOILED_SIDE, aspect)
    parts = torch.cat([_part(photo, aspect, size, generator) for photo in chosen])
    parts = parts.repeat_interleave(VARIANTS, 0)
    spoiled = spoil(parts, generator)
    small = [_shrunk(images, _size(Statistics.input_size, aspect)) for images in (spoiled, parts)]
    places = torch.randint(small[0][0, 0].numel(), (PIXELS,), generator=generator)
    some = [images.flatten(2)[:, :, places] for images in small]
    seen = features(small[0]), glance.cells(small[0]).half()
    return [*seen, *some, numbers.repeat_interleave(VARIANTS)]


def _size(short_side: int, aspect: float) -> tuple[int, int]:
    """Height and width."""
    if aspect >= 1:
        return short_side, round(short_side * aspect)
    return round(short_side / aspect), short_side


def _part(
    photo: torch.Tensor, aspect: float, size: tuple[int, int], generator: torch.Generator
) -> torch.Tensor:
    """`[1, 3, *size]` float32 levels: a random part of about that aspect, at times mirrored."""
    height, width = photo.shape[1:]
    share = 1.0 if _uniform(generator) < 0.3 else _uniform(generator, 0.6, 1)
    h = max(1, int(share * min(height, width / aspect)))
    w = max(1, int(share * min(width, height * aspect)))
    top = int(_uniform(generator) * (height - h + 1))
    left = int(_uniform(generator) * (width - w + 1))
    part = photo[None, :, top : top + h, left : left + w].float()
    if _uniform(generator) < 0.5:
        part = part.flip(-1)
    part = functional.interpolate(part, size, mode="bilinear", antialias=True)
    return _levels(part)


def _shrunk(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    small = functional.interpolate(images, size, mode="bicubic", antialias=True)
    return _levels(small).to(torch.uint8)


def _levels(values: torch.Tensor) -> torch.Tensor:
    """Rounded as an 8-bit image would be."""
    return (values + 0.5).floor().clamp(0, 255)


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def spoil(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """`[B, 3, H, W]` float32 levels 0..255, each left alone or spoiled as cameras, lenses and hasty
    hands do it: grain first, then a chain of one to three of the ways below, rounded to levels
    after each."""
    count = len(images)
    length = _choose(_LENGTHS, count, generator)
    reach = 0.6 + 0.6 * torch.rand(count, generator=generator)
    images = images.clone()
    grainy = ((torch.rand(count, generator=generator) < GRAINY) & (length > 0)).nonzero()[:, 0]
    if len(grainy):
        part = images[grainy]
        sigma = MOST_GRAIN * torch.rand(len(grainy), 1, 1, 1, generator=generator)
        images[grainy] = _levels(part + sigma * torch.randn(part.shape, generator=generator))
    for depth in range(3):
        way = _choose([weight for weight, _, _ in _WAYS], count, generator)
        way[length <= depth] = -1
        size, sign = torch.rand(2, count, generator=generator)
        for number, (_, dull, spoiled) in enumerate(_WAYS):
            rows = (way == number).nonzero()[:, 0]
            if len(rows):
                dial = (reach * size * torch.where(sign < dull, -1.0, 1.0))[rows]
                images[rows] = _levels(spoiled(images[rows], dial.view(-1, 1, 1, 1), generator))
    return images


def _choose(weights: Sequence[float], count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.multinomial(torch.tensor(weights), count, True, generator=generator)


# The ways to spoil: levels `[B, 3, H, W]` and a dial `[B, 1, 1, 1]` about -1..1, neutral at 0, the
# duller below it.


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def _brightness(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    return images * 2**dial


def _contrast(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    mean = _grey(images).mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * 2**dial


def _gamma(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    return 255 * (images / 255) ** (2**-dial)


def _saturation(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    grey = _grey(images)
    return grey + (images - grey) * 3**dial


def _exposure(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    """By up to two stops, in linear light."""
    return _of_light(_light(images) * 4**dial)


def _cast(images: torch.Tensor, dial: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Light of another colour: in linear light, by up to two stops between red and blue, and half
    as much between those and green. Greys stay as light."""
    tint = dial.abs() * (torch.rand(dial.shape, generator=generator) - 0.5)
    gains = 2 ** torch.cat([dial + tint / 3, -2 * tint / 3, tint / 3 - dial], 1)
    gains = gains / (gains * torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)).sum(1, True)
    return _of_light(_light(images) * gains)


def _autocontrast(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    """By as much as the dial is off its centre, cutting one pixel in a hundred on either side."""
    ordered = images.flatten(2).sort(-1).values
    cut = ordered.shape[-1] // 100
    low, high = ordered[..., cut, None, None], ordered[..., -1 - cut, None, None]
    stretched = (images - low) * 255 / (high - low).clamp(min=1)
    return images + (stretched - images) * dial.abs().clamp(max=1)


def _haze(images: torch.Tensor, dial: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Light air before all: up to two thirds of it, of a grey from 160 to 255, a little blue."""
    share = (0.6 * dial.abs()).clamp(max=0.67)
    air = 160 + 95 * torch.rand(dial.shape, generator=generator)
    blue = 12 * torch.rand(dial.shape, generator=generator)
    air = torch.cat([air - blue, air, air + blue], 1)
    return images * (1 - share) + air * share


def _faded(images: torch.Tensor, dial: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    """Black is lifted, or white lowered."""
    narrower = images * (255 - 40 * dial.abs()) / 255
    return narrower + 40 * dial.clamp(min=0)


def _light(images: torch.Tensor) -> torch.Tensor:
    """Levels to linear light in 0..1."""
    x = images.clamp(0, 255) / 255
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def _of_light(light: torch.Tensor) -> torch.Tensor:
    """The inverse of `_light`."""
    light = light.clamp(0, 1)
    power = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return 255 * torch.where(light <= 0.0031308, 12.92 * light, power)


_WAYS = (
    (1.0, 0.6, _brightness),
    (1.0, 0.6, _contrast),
    (1.0, 0.6, _gamma),
    (1.0, 0.6, _saturation),
    (0.4, 0.7, _exposure),
    (1.2, 0.5, _cast),
    (0.1, 0.5, _autocontrast),
    (0.5, 0.5, _haze),
    (0.1, 0.5, _faded),
)
"""How often, how often to the duller side, and what."""
_LENGTHS = (0.12, 0.23, 0.45, 0.2)
"""How often a chain has none of them, one, two, three."""
GRAINY, MOST_GRAIN = 0.15, 12.0
"""Share of the spoiled ones that have grain before all else, and its largest standard deviation in
levels: what is lightened later brings it out."""


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
    light = torch.where(
        rendered <= 0.04045,
        rendered / 12.92,
        ((rendered.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4,
    )
    made, truth, given = from_light(light), lab(examples.truth[at]), lab(examples.spoiled[at])
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
