"""A film becomes a film: shots, a recipe for each, every frame by the one door."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ImageError, PlaceError, SettingsError
from ..image_io import atomic, shown_path
from ..jobs import restoration, video
from ..jobs.events import Amiss, Event, Filmed, Filming, Held, Noted, Planned, Skipped
from ..jobs.file import PAUSE, be_as_old, check_beside, mode_for, write_texts
from ..jobs.host import Host
from ..jobs.inputs import Item
from ..jobs.journal import version_of
from ..jobs.names import Names
from ..jobs.plan import Plan, restorers
from ..jobs.video import Film, Shot
from .paint import Painter
from .parts import Borders, Memory, Parts
from .pixels import Pixels
from .recipes import LOOK, Recipes
from .result import ELSE, MUXERS, Result, coding, pix_fmt
from .source import Source

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST_WORKERS = 4
"""Frames that are worked on at once, at most, where filters alone do not do it."""


def process(
    item: Item, plan: Plan, host: Host, own: Names, *, cancel: threading.Event
) -> Generator[Event, None, bool]:
    """As `jobs.file.process`, for a film: ends with `Filmed`, `Skipped` or `Planned`, or with none
    of them when it was cancelled and no part was to be kept. What of it could not be read is told
    as `Amiss`. Raises: NulieError; nothing is written then."""
    _check(plan)
    target, results = _target(item, plan), plan.results
    memory = Memory.of(item.path, target, results.job) if results.job else None
    if memory is not None and memory.is_of(target):
        yield Skipped(item, target)
        return False
    passes = (item.found and results.output is None) or results.skip_existing
    if passes and own.is_there(target) and not results.overwrite:
        yield Skipped(item, target)
        return False
    host.check(item.path, item.shown)
    version = version_of(item.path)
    source = Source(item.path, item.shown)
    own.check_place(item.shown, target)
    beside = check_beside([target], plan, own)
    if results.dry_run:
        own.add(target)
        yield Planned(item, (target, *beside))
        return True
    suffix = target.suffix.lower()
    codec, crf = coding(plan.video.codec, plan.video.crf, source.facts, suffix, item.shown)
    host = replace(host, models=host.models or restorers(plan))
    recipes = Recipes(item, plan, host, source, cancel, memory=memory)
    recipes.show = results.report is not None
    if not (yield from recipes.find()):
        return False
    making = _Making(recipes, codec, crf)
    path = yield from _once_there(item, plan, lambda: making.write(target))
    if path is None:
        return False
    own.add(path)
    if memory is not None:
        memory.forget_parts()
        if version_of(item.path) != version:
            raise ImageError(f"{item.shown}: has changed meanwhile; the next run does it")
    film, amiss = making.film(), making.amiss()
    texts = {results.save_recipe: partial(video.to_text, film.shots)}
    if host.draw is not None:
        texts[results.report] = partial(host.draw, film)
    beside = [*write_texts(texts, results, amiss, mode_for(item.path.stat()))]
    if results.keep_dates:
        for one in (path, *beside):
            be_as_old(one, item.path.stat())
    for text in amiss:
        yield Amiss(item, text)
    yield Filmed(item, film, (path,))
    return making.whole


def look(
    item: Item, plan: Plan, host: Host, *, cancel: threading.Event
) -> Generator[Event, None, Film | None]:
    """What `process` would make of a film: its shots with their recipes, and a frame of each before
    and after. None when it was cancelled. Raises: NulieError."""
    _check(plan)
    host.check(item.path, item.shown)
    begun, source = time.monotonic(), Source(item.path, item.shown)
    host = replace(host, models=host.models or restorers(plan))
    recipes = Recipes(item, plan, host, source, cancel, show=True)
    if not (yield from recipes.find()):
        return None
    frames = sum(shot.frames for shot in recipes.shots)
    told = (frames, time.monotonic() - begun, recipes.predictor)
    return Film(item.file_name, tuple(recipes.shots), *told, keys=tuple(recipes.keys))


def _once_there(
    item: Item, plan: Plan, write: Callable[[], Generator[Event, None, Path | None]]
) -> Generator[Event, None, Path | None]:
    """What `write` gives; a job waits for its place and tries again, see `jobs.file`."""
    until = time.monotonic() + plan.results.wait
    while True:
        try:
            return (yield from write())
        except PlaceError as e:
            if not plan.results.job or time.monotonic() >= until:
                raise
            yield Held(item, str(e))
        time.sleep(max(0.0, min(PAUSE, until - time.monotonic())))


def _check(plan: Plan) -> None:
    """Raises: SettingsError on what says nothing of films."""
    results = plan.results
    asked = {
        "checkpoint": results.checkpoint, "resume": plan.resume_file,
        "top": plan.settings.top > 1,
    }  # fmt: skip
    color = plan.restoration.color
    asked["hint"] = color is not None and bool(color.hints)
    for option, value in asked.items():
        if value:
            raise SettingsError(f"--{option} is for photos; leave it out where there are videos")


def _target(item: Item, plan: Plan) -> Path:
    """Raises: SettingsError where no such file is written."""
    results, name = plan.results, Path(item.name or item.path)
    if results.output is not None:
        if results.output.suffix.lower() not in MUXERS:
            shown, kinds = shown_path(results.output), ", ".join(MUXERS)
            raise SettingsError(f"--output {shown}: a video is written as one of {kinds}")
        return results.output
    suffix = name.suffix if name.suffix.lower() in MUXERS else ELSE
    return video.target(name, results.output_dir and results.output_dir / item.folder, suffix)


@dataclass
class _Making:
    """The second reading of a film, which makes the result."""

    recipes: Recipes
    codec: str
    crf: int | None
    whole: bool = True
    damage: list[str] = field(default_factory=list)
    _frames: int = 0
    _begun: float = field(default_factory=time.monotonic)
    _told: float = 0.0

    def film(self) -> Film:
        recipes, seconds = self.recipes, time.monotonic() - self._begun
        shots = recipes.shots or [Shot(0.0, self._frames, recipes.stretches[0].recipe)]
        told = (self._frames, seconds, recipes.predictor, self.whole, tuple(recipes.keys))
        return Film(recipes.item.file_name, tuple(shots), *told)

    def amiss(self) -> list[str]:
        """What could not be read, in a sentence."""
        item, damage = self.recipes.item, self.damage
        if not damage:
            return []
        more = f" and {len(damage) - 1} more places" if len(damage) > 1 else ""
        told = f"is damaged at {damage[0]}{more}; what could be read of it is in the result"
        return [f"{item.shown}: {told}"]

    def write(self, target: Path) -> Generator[Event, None, Path | None]:
        """The path of what was written; None where it was stopped and no part is kept. Raises:
        ImageError."""
        recipes = self.recipes
        item, plan, source, cancel = recipes.item, recipes.plan, recipes.source, recipes.cancel
        overwrite, memory = plan.results.overwrite, recipes.memory
        size = yield from self._size()
        if size is None:
            return None
        format = pix_fmt(self.codec, source.facts, size, item.shown)
        coding: dict[str, Any] = {
            "codec": self.codec,
            "crf": self.crf,
            "size": size,
            "pix_fmt": format,
        }
        painter = Painter(source.facts, format, recipes.stretches, recipes.host.models)
        muxer, mode = MUXERS[target.suffix.lower()], mode_for(item.path.stat())
        self._frames = 0
        try:
            if memory is not None:
                yield from self._encode_parts(memory, painter, muxer, coding)
            with (
                atomic.writing(target, overwrite=overwrite, mode=mode, of=_owner(target)) as draft,
                source.reading() as (film, main),
            ):
                given = (film, main, source.facts)
                result = Result(draft.file, muxer, *given, **coding, shown=item.shown)
                for note in result.notes:
                    yield Noted(item, note)
                if memory is not None:
                    parts = Parts(memory, muxer, main, source.facts, coding, recipes.stretches)
                    self._join(result, film, main, parts.packets())
                else:
                    yield from self._go_through(result, film, main, painter)
                if not self._frames:
                    told = "none of its frames can be read; it is damaged"
                    raise ImageError(f"{item.shown}: {told}")
                if cancel.is_set():
                    self.whole = False
                    if not plan.video.keep_part:
                        raise _Stopped
                    draft.path = video.part(target)
                result.close()
                if memory is not None:
                    memory.expect(draft.file)
        except _Stopped:
            return None
        return draft.path

    def _go_through(
        self, result: Result, film: InputContainer, main: VideoStream, painter: Painter
    ) -> Iterator[Event]:
        """All packets in their order, those of the pictures decoded and encoded, or as many as
        there were before it was cancelled."""
        recipes, source = self.recipes, self.recipes.source
        with _Workers(painter, recipes.item.shown, one=self._has_models()) as workers:
            for packet in source.packets(film, _streams(film)):
                if recipes.cancel.is_set():
                    break
                if packet.stream.index != main.index:
                    result.copy(packet)
                    continue
                for frame in source.decoded(packet):
                    for made in workers.add(frame):
                        result.write(made)
                        self._frames += 1
                        yield from self._progress()
            for made in workers.rest():
                result.write(made)
                self._frames += 1
        self.damage = source.damage

    def _encode_parts(
        self, memory: Memory, painter: Painter, muxer: str, coding: dict[str, Any]
    ) -> Iterator[Event]:
        """Those that are not there. Raises: _Stopped when it was cancelled."""
        recipes, source = self.recipes, self.recipes.source
        borders = Borders(recipes.stretches)
        if memory.damage is not None:
            self.damage = memory.damage
            return
        with (
            source.reading() as (film, main),
            _Workers(painter, recipes.item.shown, one=self._has_models()) as workers,
        ):
            parts = Parts(memory, muxer, main, source.facts, coding, recipes.stretches)
            frames = (f for p in source.packets(film, [main]) for f in source.decoded(p))
            numbered = ((borders.part_of(number), frame) for number, frame in enumerate(frames))
            for number, part in groupby(numbered, lambda one: one[0]):
                if parts.is_there(number):
                    for _ in part:
                        workers.skip()
                        self._frames += 1
                        yield from self._progress()
                    continue
                with parts.writing(number) as made:
                    for _, frame in part:
                        if recipes.cancel.is_set():
                            raise _Stopped
                        for done in workers.add(frame):
                            made.write(done)
                            self._frames += 1
                            yield from self._progress()
                    for done in workers.rest():
                        made.write(done)
                        self._frames += 1
            memory.damage = self.damage = source.damage
        memory.keep()

    def _join(
        self, result: Result, film: InputContainer, main: VideoStream,
        pictures: Iterator[Packet[Any]],
    ) -> None:  # fmt: skip
        """All packets in the order in which they are due."""
        self._frames = 0
        waiting = next(pictures, None)

        def add(until: Fraction | None) -> None:
            nonlocal waiting
            while waiting is not None and (
                until is None or (waiting.dts or 0) * result.time_base <= until
            ):
                result.add(waiting)
                self._frames += 1
                waiting = next(pictures, None)

        others = [stream for stream in _streams(film) if stream.index != main.index]
        for packet in self.recipes.source.packets(film, others) if others else ():
            if packet.dts is not None and packet.time_base is not None:
                add(packet.dts * packet.time_base)
            result.copy(packet)
        add(None)

    def _progress(self) -> Iterator[Filming]:
        now = time.monotonic()
        if now - self._told >= LOOK:
            self._told = now
            item, facts = self.recipes.item, self.recipes.source.facts
            yield Filming(item, "writing", self._frames, facts.frames, now - self._begun)

    def _has_models(self) -> bool:
        return any(s.recipe.before or s.recipe.after for s in self.recipes.stretches)

    def _size(self) -> Generator[Event, None, tuple[int, int] | None]:
        """Of what is encoded; None where it was stopped meanwhile."""
        recipes, facts = self.recipes, self.recipes.source.facts
        if not self._has_models():
            return facts.width, facts.height
        first = Pixels(facts, facts.pix_fmt).photo(next(recipes.source.frames()))
        given = (recipes.stretches[0].recipe, first, recipes.host.models, recipes.cancel)
        made = yield from restoration.apply(recipes.item, *given)
        return None if made is None else made.size


def _owner(target: Path) -> str:
    """By what the unfinished files of a result are known, if it is killed."""
    return hashlib.sha256(os.fsencode(target.absolute())).hexdigest()[:12]


def _streams(film: InputContainer) -> list[Stream]:
    """Those that have packets."""
    return [stream for stream in film.streams if stream.type != "attachment"]


class _Stopped(Exception):
    pass


class _Workers:
    """Frames in, what becomes of them out, in their order; as many in between as there are threads,
    and one more."""

    def __init__(self, painter: Painter, shown: str, *, one: bool) -> None:
        """`one`: what is done shares itself out among the cores."""
        self._painter, self._shown = painter, shown
        self._count = 1 if one else min(MOST_WORKERS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._count, "nulie film")
        self._waiting: deque[VideoFrame | Future[VideoFrame]] = deque()
        self._number = 0
        self._last: int | None = None
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Raises: ImageError on a film whose frames change their size, RecipeError."""
        size = frame.width, frame.height
        self._size = self._size or size
        if size != self._size:
            raise ImageError(
                f"{self._shown}: its frames change from {self._size[0]} x {self._size[1]} to"
                f" {size[0]} x {size[1]} pixels; cut it there, and give the parts"
            )
        recipes = self._painter.recipes_of(self._number)
        self._number += 1
        if frame.pts is None or (self._last is not None and frame.pts <= self._last):
            return  # out of a damaged part: there is no time to show it
        self._last = frame.pts
        before, after, _ = recipes
        chain = self._painter.quick(before) if before == after else None
        if chain is not None:
            self._waiting.append(chain(frame))
        else:
            given = (frame, recipes, self._painter.scene)
            self._waiting.append(self._pool.submit(self._painter.paint, *given))
        while len(self._waiting) > (0 if chain is not None else self._count):
            yield self._next()

    def skip(self) -> None:
        """A frame that was made before."""
        self._number += 1

    def rest(self) -> Iterator[VideoFrame]:
        while self._waiting:
            yield self._next()

    def _next(self) -> VideoFrame:
        made = self._waiting.popleft()
        return made.result() if isinstance(made, Future) else made
