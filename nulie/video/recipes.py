"""Which recipe each shot gets: one search on its key frames, measured together, frozen."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO

from PIL import Image

from ..errors import PlaceError, RecipeError
from ..image_io import Photo
from ..jobs import restoration
from ..jobs.events import Event, Filming, Noted
from ..jobs.file import check_place
from ..jobs.host import Host
from ..jobs.inputs import Item
from ..jobs.look import scale_down
from ..jobs.plan import Plan
from ..jobs.restoration import AUTO, Restoration
from ..jobs.video import KeyFrame, Shot
from ..recipe import Recipe
from ..recipe.steps import ModelSteps
from ..transforms import freeze, get
from .paint import Stretch, colors
from .parts import Memory
from .pixels import Pixels
from .shots import ALIKE, Finder, Found, Histogram, apart, look
from .source import Source

SHOWN = 720
"""Pixels of the long side of key frames that are shown."""
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
    show: bool = False
    """Whether `keys` are wanted, one of each shot."""
    keys: list[KeyFrame] = field(default_factory=list)
    memory: Memory | None = None
    """Where they are kept as they are found, and may be known from."""
    _looks: list[Histogram] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)
    _last: ModelSteps = ()

    def find(self) -> Generator[Event, None, bool]:
        """False where it was cancelled. Raises: NulieError."""
        facts = self.source.facts
        pixels = Pixels(facts, facts.pix_fmt)
        first = pixels.photo(next(self.source.frames()))
        memory = self.memory
        if memory is not None:
            self.predictor = memory.predictor
        if memory is not None and memory.whole:
            self._take_given(memory.shots, first)
            return not self.cancel.is_set()
        if self._are_given():
            self._take_given(self.plan.shots, first)
            return not self.cancel.is_set()
        assert self.host.models is not None
        wanted = self.plan.restoration
        yield from self._note(self.host.models.to_come(wanted.models, wanted.colorists))
        self._last = restoration.last_steps(first, self.plan.restoration, self.host.models)
        if not (self._differ() or self.show):
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
        whole = yield from self._take(finder.end(), pixels)
        if whole and memory is not None:
            memory.whole = True
            self._keep(memory)
        return whole

    def _differ(self) -> bool:
        """Whether each shot has a recipe of its own."""
        plan = self.plan
        if plan.recipe is not None:
            return _measures(plan.recipe) or colors(plan.recipe)
        if plan.restoration.color is not None:
            return True  # which goes by cuts
        return plan.search or AUTO in (plan.restoration.repair, plan.restoration.denoise)

    def _are_given(self) -> bool:
        """Whether the plan has the shots of this film. Raises: RecipeError where it has those of
        another."""
        given, frames = self.plan.shots, self.source.facts.frames
        count = sum(shot.frames for shot in given)
        if given and (not frames or abs(count - frames) <= max(2, frames // 50)):
            return True
        if len(given) > 1:
            told = f"are of a video of {count:,} frames, and {self.item.shown} has {frames:,}"
            raise RecipeError(f"the recipes of {len(given)} shots {told}; give it one of its own")
        return False

    def _take_given(self, shots: Sequence[Shot], first: Photo) -> None:
        begin = 0
        for number, shot in enumerate(shots, 1):
            if _measures(shot.recipe):
                told = 'a shot\'s recipe carries what it has measured, and says so by "frozen"'
                raise RecipeError(f"shot {number}: {told}")
            recipe = freeze(shot.recipe, first.pixels)
            self.stretches.append(Stretch(begin, recipe, shot.cut))
            begin += shot.frames
        self.shots += shots

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
        known = self._remembered(found)
        if known is not None:
            shot = known
        elif alike:
            same = self.shots[alike[0]]
            shot = replace(same, like=same.like or alike[0] + 1)
        else:
            made = yield from self._searched(keys)
            if made is None:
                return False
            shot = made
        self._looks.append(seen)
        self.stretches.append(Stretch(found.begin, shot.recipe, found.cut))
        frames = found.end - found.begin
        shot = replace(shot, begin=found.time, frames=frames, cut=found.cut)
        self.shots.append(shot)
        if self.memory is not None and known is None:
            self.memory.shots, self.memory.predictor = tuple(self.shots), self.predictor
            self._keep(self.memory)
        return not self.show or (yield from self._show(keys[len(keys) // 2], shot.recipe))

    def _keep(self, memory: Memory) -> None:
        with suppress(PlaceError):  # for which the result will have to wait, and not the search
            check_place(self.plan.results)
            memory.keep()

    def _remembered(self, found: Found) -> Shot | None:
        """The shot as an earlier run has kept it."""
        kept = self.memory.shots[len(self.shots) :][:1] if self.memory is not None else ()
        if kept and (kept[0].begin, kept[0].frames) == (
            round(found.time, 3), found.end - found.begin,
        ):  # fmt: skip
            return kept[0]
        return None

    def _show(self, photo: Photo, recipe: Recipe) -> Generator[Event, None, bool]:
        given = (recipe, photo, self.host.models, self.cancel)
        made = yield from restoration.apply(self.item, *given)
        if made is None:
            return False
        before = scale_down(photo.pixels, SHOWN)
        after = made.pixels.resize(before.size, reducing_gap=2.0)
        self.keys.append(KeyFrame(_jpeg(before), _jpeg(after), before.size))
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


def _measures(recipe: Recipe) -> bool:
    """Whether it has steps that do something else to each picture, beside lengths."""
    measure = (get(s.op).needs for s in recipe.steps if s.frozen is None)
    return any(needs not in ("nothing", "short side") for needs in measure)


def _jpeg(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=90, subsampling=0)
    return stream.getvalue()
