"""The second reading of a film, which makes the result: all at once, or, of a job, part by part."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ImageError, PlaceError
from ..image_io import atomic
from ..jobs import restoration, video
from ..jobs.events import Event, Filming, Noted
from ..jobs.file import check_place, mode_for
from ..jobs.journal import version_of
from ..jobs.video import Film, Shot
from .paint import Painter
from .parts import Borders, Memory, Parts
from .pixels import Pixels
from .recipes import LOOK, Recipes
from .result import MUXERS, Result, pix_fmt

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST_WORKERS = 4
"""Frames that are worked on at once, at most, where filters alone do not do it."""


@dataclass
class Making:
    """Of one film whose recipes are found."""

    recipes: Recipes
    codec: str
    crf: int | None
    whole: bool = True
    changed: bool = False
    """Whether the input is another one than it was."""
    damage: list[str] = field(default_factory=list)
    _frames: int = 0
    _begun: float = field(default_factory=time.monotonic)
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._version = version_of(self.recipes.item.path)

    def film(self) -> Film:
        recipes, seconds = self.recipes, time.monotonic() - self._begun
        shots = recipes.shots or [Shot(0.0, self._frames, recipes.stretches[0].recipe)]
        told = (self._frames, seconds, recipes.predictor, self.whole, tuple(recipes.keys))
        return Film(recipes.item.file_name, tuple(shots), *told)

    def amiss(self) -> list[str]:
        """What could not be read, and whether it has changed, in sentences."""
        told, damage = [], self.damage
        if damage:
            more = f" and {len(damage) - 1} more places" if len(damage) > 1 else ""
            where = f"is damaged at {damage[0]}{more}"
            told.append(f"{where}; what could be read of it is in the result")
        if self.changed:
            told.append("has changed meanwhile; the result is of what it was before")
        return [f"{self.recipes.item.shown}: {text}" for text in told]

    def write(self, target: Path) -> Generator[Event, None, Path | None]:
        """The path of what was written; None where it was stopped and no part is kept. Raises:
        ImageError."""
        recipes, source = self.recipes, self.recipes.source
        item, models, results = recipes.item, recipes.host.models, recipes.plan.results
        size = yield from self._size()
        if size is None:
            return None
        format = pix_fmt(self.codec, source.facts, size, item.shown)
        painter = Painter(source.facts, format, recipes.stretches, models)
        coding: dict[str, Any] = {"codec": self.codec, "crf": self.crf, "size": size}
        coding["pix_fmt"] = format
        muxer, mode = MUXERS[target.suffix.lower()], mode_for(item.path.stat())
        given: dict[str, Any] = {"overwrite": results.overwrite, "mode": mode}
        given["of"] = _owner(target)
        self._frames = 0
        try:
            if recipes.memory is not None:
                yield from self._encode_parts(recipes.memory, painter, muxer, coding)
            with atomic.writing(target, **given) as draft, source.reading() as (film, main):
                facts = (film, main, source.facts)
                result = Result(draft.file, muxer, *facts, **coding, shown=item.shown)
                for note in result.notes:
                    yield Noted(item, note)
                if recipes.memory is not None:
                    parts = Parts(
                        recipes.memory, muxer, main, source.facts, coding, recipes.stretches
                    )
                    self._join(result, film, main, parts.packets())
                else:
                    yield from self._go_through(result, film, main, painter)
                self._end(result, draft)
        except _Stopped:
            return None
        return draft.path

    def _end(self, result: Result, draft: atomic.Draft) -> None:
        """Raises: ImageError where there is nothing to be kept; _Stopped."""
        recipes, shown = self.recipes, self.recipes.item.shown
        if not self._frames:
            raise ImageError(f"{shown}: none of its frames can be read; it is damaged")
        if recipes.cancel.is_set():
            self.whole = False
            if not recipes.plan.video.keep_part:
                raise _Stopped
            draft.path = video.part(draft.path)
        result.close()
        self.changed = version_of(recipes.item.path) != self._version
        if recipes.memory is not None:
            self._check_input()
            check_place(recipes.plan.results)
            recipes.memory.expect(draft.file)

    def _check_input(self) -> None:
        """Raises: PlaceError where it is gone, as a whole share may be; ImageError where it is
        another one, of which no part is to be kept."""
        item = self.recipes.item
        now = version_of(item.path)
        if now is None:
            raise PlaceError(f"{item.shown}: is gone; bring it back")
        if now != self._version:
            raise ImageError(f"{item.shown}: has changed meanwhile; the next run does it")

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
        with (
            source.reading() as (film, main),
            _Workers(painter, recipes.item.shown, one=self._has_models()) as workers,
        ):
            parts = Parts(memory, muxer, main, source.facts, coding, recipes.stretches)
            if memory.parts and all(map(parts.is_there, range(memory.parts))):
                self.damage = memory.damage
                return
            frames = (f for p in source.packets(film, [main]) for f in source.decoded(p))
            numbered = ((borders.part_of(number), frame) for number, frame in enumerate(frames))
            number = -1
            for number, part in groupby(numbered, lambda one: one[0]):
                if parts.is_there(number):
                    for _ in part:
                        workers.skip()
                        self._frames += 1
                        yield from self._progress()
                    continue
                check_place(recipes.plan.results)
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
                    self._check_input()
            memory.damage = self.damage = source.damage
        memory.parts = number + 1
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
