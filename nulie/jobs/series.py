"""Photos of a series: one search on some of them, one recipe for all."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import replace

from PIL import Image

from ..errors import ImageError, NulieError
from ..image_io import Photo
from ..recipe import Recipe, Step
from ..transforms import get
from . import restoration
from .events import Event, Noted
from .file import read
from .host import Host
from .inputs import Item, is_film
from .plan import Plan
from .restoration import Restoration

LOOKED_AT = 8
"""Photos that are searched on, at most."""
SIDE = 1024
"""Pixels of the long side of what is kept of each: histograms need no more."""


def with_recipe(
    items: Sequence[Item], plan: Plan, host: Host, cancel: threading.Event
) -> Generator[Event, None, Plan | None]:
    """The plan with the recipe that is good for all photos on average, measured of them together;
    None when it was cancelled before there was one. What is restored is what the first needs.
    Raises: ImageError when none of them can be read; as `enhance`."""
    photos = [item for item in items if not is_film(item.path)]
    step = max(1, len(photos) / LOOKED_AT)
    chosen = [photos[int(i * step)] for i in range(min(LOOKED_AT, len(photos)))]
    first: Photo | None = None
    small: list[Image.Image] = []
    for item in chosen:
        try:
            photo = read(item, host)
        except NulieError:
            continue  # it is reported in its turn
        first = first or photo
        small.append(_small(photo.pixels))
    if first is None or host.models is None:
        raise ImageError("none of the photos can be read, so there is no recipe for all of them")
    for note in host.models.to_come(plan.restoration.models, plan.restoration.colorists):
        yield Noted(chosen[0], note)
    before, notes = restoration.first_steps(first, plan.restoration, host.models)
    last = restoration.last_steps(first, plan.restoration, host.models)
    for note in notes:
        yield Noted(chosen[0], note)
    recipe = Recipe()
    if plan.search:
        from .picture import enhance

        alike = [Photo(image) for image in _of_one_size(small)]
        wanted = replace(plan.settings, top=1)
        searched = replace(plan, restoration=Restoration(), settings=wanted)
        outcome = yield from enhance(
            chosen[0], alike[0], searched, host, cancel=cancel, others=alike[1:]
        )
        if outcome is None:
            return None
        recipe = outcome.recipe
        found = f"one recipe for all, found on {len(alike)} of {len(photos)}"
        if outcome.base is not None and outcome.terms is not None:
            found += f": score {outcome.base.score:.2f} -> {outcome.terms.score:.2f}"
        yield Noted(chosen[0], f"{found} ({outcome.predictor})")
    steps = tuple(map(_without_lengths, recipe.steps))
    return replace(plan, recipe=Recipe(steps, before, last), restoration=Restoration())


def _small(image: Image.Image) -> Image.Image:
    factor = max(1, max(image.size) // SIDE)
    return image.reduce(factor) if factor > 1 else image


def _of_one_size(images: Sequence[Image.Image]) -> Sequence[Image.Image]:
    """The images themselves; or, where their sizes differ, all squeezed into that of the first, or
    into squares where some lie and some stand."""
    width, height = images[0].size
    if any((image.width < image.height) != (width < height) for image in images):
        width = height = max(width, height)
    size = (width, height)
    return [image if image.size == size else image.resize(size) for image in images]


def _without_lengths(step: Step) -> Step:
    """A step that measures lengths, which are shares of each photo, measures them anew."""
    return Step(step.op, step.params) if get(step.op).needs == "short side" else step
