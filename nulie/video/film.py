"""A film becomes a film: shots, a recipe for each, every frame by the one door."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..errors import PlaceError, SettingsError
from ..image_io import shown_path
from ..jobs import video
from ..jobs.events import Amiss, Event, Filmed, Held, Planned, Skipped
from ..jobs.file import PAUSE, be_as_old, check_beside, mode_for, write_texts
from ..jobs.host import Host
from ..jobs.inputs import Item
from ..jobs.names import Names
from ..jobs.plan import Plan, restorers
from ..jobs.video import Film
from .making import Making
from .parts import Memory
from .recipes import Recipes
from .result import ELSE, MUXERS, coding
from .source import Source


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
    making = Making(recipes, codec, crf)
    path = yield from _once_there(item, plan, lambda: making.write(target))
    if path is None:
        return False
    own.add(path)
    if memory is not None:
        memory.forget_parts()
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
