"""Which recipe each shot gets: one search on its key frames, measured together, frozen."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..image_io import Photo
from ..jobs import restoration
from ..jobs.events import Event, Filming, Noted
from ..jobs.host import Host
from ..jobs.inputs import Item
from ..jobs.plan import Plan
from ..jobs.restoration import AUTO, Restoration
from ..jobs.video import Shot
from ..recipe import Recipe
from ..recipe.steps import ModelSteps
from ..transforms import freeze, get
from .paint import Stretch
from .pixels import Pixels
from .shots import ALIKE, Finder, Found, Histogram, apart, look
from .source import Source

LOOK = 0.1
"""Seconds between two looks at the progress."""


@dataclass
class Recipes:
    """Finds them; `stretches` and `shots` are complete when `find` says so."""

    item: Item
    plan: Plan
    host: Host
    """With models."""
    source: Source
    cancel: threading.Event
    stretches: list[Stretch] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)
    predictor: str = ""
    _looks: list[Histogram] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)
    _last: ModelSteps = ()

    def find(self) -> Generator[Event, None, bool]:
        """False where it was cancelled. Raises: NulieError."""
        facts = self.source.facts
        pixels = Pixels(facts, facts.pix_fmt)
        first = pixels.photo(next(self.source.frames()))
        assert self.host.models is not None
        wanted = self.plan.restoration
        yield from self._note(self.host.models.to_come(wanted.models, wanted.colorists))
        self._last = restoration.last_steps(first, self.plan.restoration, self.host.models)
        if not self._differ():
            # Lengths are what all frames have in common.
            recipe = freeze((yield from self._given(first)), first.pixels)
            self.stretches.append(Stretch(0, recipe))
            return not self.cancel.is_set()
        finder, begun, told = Finder(split=not self.plan.same), time.monotonic(), 0.0
        found: Found | None
        for number, frame in enumerate(self.source.frames()):
            if self.cancel.is_set():
                return False
            found = finder.add(frame)
            if found is not None and not (yield from self._take(found, pixels)):
                return False
            if time.monotonic() - told >= LOOK:
                told = time.monotonic()
                spent = told - begun
                yield Filming(self.item, "looking for shots", number + 1, facts.frames, spent)
        return (yield from self._take(finder.end(), pixels))

    def _differ(self) -> bool:
        """Whether each shot has a recipe of its own."""
        plan = self.plan
        if plan.recipe is not None:
            measure = (get(s.op).needs for s in plan.recipe.steps if s.frozen is None)
            return any(needs not in ("nothing", "short side") for needs in measure)
        return plan.search or AUTO in (plan.restoration.repair, plan.restoration.denoise)

    def _given(self, photo: Photo) -> Generator[Event, None, Recipe]:
        """The plan's recipe, or what it restores of such a photo, without a search."""
        if self.plan.recipe is not None:
            return self.plan.recipe
        assert self.host.models is not None
        wanted = self.plan.restoration
        first, notes = restoration.first_steps(photo, wanted, self.host.models)
        yield from self._note(notes)
        return Recipe((), first, self._last)

    def _take(self, found: Found, pixels: Pixels) -> Generator[Event, None, bool]:
        """A shot gets its recipe; whether that was not cancelled."""
        keys = [pixels.photo(frame) for frame in found.keys]
        seen = look(*(key.pixels for key in keys))
        alike = [n for n, other in enumerate(self._looks) if apart(seen, other) <= ALIKE]
        if alike:
            known = self.shots[alike[0]]
            shot = replace(known, like=known.like or alike[0] + 1)
        else:
            made = yield from self._searched(keys)
            if made is None:
                return False
            shot = made
        self._looks.append(seen)
        self.stretches.append(Stretch(found.begin, shot.recipe, found.cut))
        frames = found.end - found.begin
        self.shots.append(replace(shot, begin=found.time, frames=frames))
        return True

    def _searched(self, keys: Sequence[Photo]) -> Generator[Event, None, Shot | None]:
        recipe = yield from self._given(keys[len(keys) // 2])
        restored = []
        for key in keys:
            first = Recipe((), recipe.before)
            made = yield from restoration.apply(
                self.item, first, key, self.host.models, self.cancel
            )
            if made is None:
                return None
            restored.append(made)
        before = after = None
        if self.plan.search and self.plan.recipe is None:
            from ..jobs.picture import enhance

            plan = replace(self.plan, restoration=Restoration())
            events = enhance(
                self.item, restored[0], plan, self.host, cancel=self.cancel, others=restored[1:]
            )
            while True:
                try:
                    event = next(events)
                except StopIteration as stop:
                    outcome = stop.value
                    break
                if isinstance(event, Noted):
                    yield from self._note([event.text])
                else:
                    yield event
            if outcome is None or self.cancel.is_set():
                return None
            self.predictor = outcome.predictor
            before, after = outcome.base.score, outcome.terms.score
            recipe = Recipe(outcome.recipe.steps, recipe.before, recipe.after)
        recipe = freeze(recipe, *(photo.pixels for photo in restored))
        return Shot(0.0, 0, recipe, before, after)

    def _note(self, texts: Iterable[str]) -> Iterator[Noted]:
        """What is new: shots are many, and say the same."""
        for text in texts:
            if text not in self._told:
                self._told.add(text)
                yield Noted(self.item, text)
