"""One file becomes one file, or several variants of it, with all that is written beside."""

from __future__ import annotations

import filecmp
import hashlib
import logging
import os
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .. import image_io
from ..errors import ImageError, NulieError, PlaceError, RecipeError
from ..image_io import Photo, atomic, reason, shown_path
from ..recipe import Recipe
from . import names, recipes, restoration
from .checkpoints import Keeper
from .events import Amiss, Done, Event, Held, Loading, Noted, Planned, Skipped
from .host import Host
from .inputs import Item
from .outcome import Outcome, file_text
from .plan import Plan, Results

_log = logging.getLogger(__name__)
MARK_KEY = "nulie job"
"""Where a result's text says which job made it, of what."""
PAUSE = 2.0
"""Seconds between two looks at a place that is full or gone."""

Made = TypeVar("Made")


def process(
    item: Item, plan: Plan, host: Host, own: names.Names, *, cancel: threading.Event
) -> Generator[Event, None, bool]:
    """Reads a photo, does what the plan says, writes what came of it. Ends with `Done`, `Skipped`
    or `Planned`, or with none of them when it was cancelled before there was anything to write;
    whether it was done. What fails beside the picture is told as `Amiss`.

    Raises: NulieError; nothing is written then."""
    if len(plan.shots) > 1:
        told = f"has recipes for {len(plan.shots)} shots of a video; a photo takes a recipe of one"
        raise RecipeError(f"{shown_path(plan.recipe_file or Path('the recipe'))}: {told}")
    source = yield from _once_there(item, plan.results, lambda: _found(item, plan.results))
    mark = _mark(item, source, plan.results)
    if there := _result_that_stays(item, None, plan, own, mark):
        yield Skipped(item, there)
        return False
    photo = yield from _once_there(item, plan.results, lambda: _read(item, plan.results, host))
    if there := _result_that_stays(item, photo, plan, own, mark):
        yield Skipped(item, there)
        return False
    targets = _targets(item, photo, plan)
    if mark:  # of variants the first is written last
        for target in targets[1:]:
            if _has_mark(target, mark):
                target.unlink()
    notes = list(photo.notes)
    if not plan.results.numbered:
        for target in targets:
            notes += own.check(photo, item.shown, target)
    beside = check_beside(targets, plan, own)
    for note in dict.fromkeys(notes):
        yield Noted(item, note)
    if plan.results.dry_run:
        for target in targets:
            own.add(target)
        yield Planned(item, (*targets, *beside))
        return True
    checkpoint = plan.results.checkpoint or plan.resume_file
    every, mode = plan.results.checkpoint_every, mode_for(source)
    keeper = Keeper(checkpoint, every, mode) if checkpoint else None
    if plan.recipe is not None and not plan.judge_recipe:
        # Without libraries that take seconds, where no model is needed.
        made = yield from restoration.apply(item, plan.recipe, photo, host.models, cancel)
        outcome = None
        if made is not None:
            outcome = Outcome(item.file_name, photo, made, plan.recipe)
    else:
        if plan.search:
            yield Loading(item, plan.judge)  # before libraries that take seconds
        from .picture import enhance

        outcome = yield from enhance(item, photo, plan, host, cancel=cancel, keeper=keeper)
    if outcome is None:
        return False
    amiss = [keeper.failure] if keeper and keeper.failure else []
    now = yield from _once_there(item, plan.results, lambda: _found(item, plan.results))
    changed = _version(now) != _version(source)
    if changed and mark:
        raise ImageError(f"{item.shown}: has changed meanwhile; the next run does it")
    if changed:
        amiss.append(f"{item.shown}: has changed meanwhile; the result is of what it was before")
    said = [note for note in outcome.after.notes if note not in notes]
    written = yield from _write(
        outcome, targets, plan, None if changed else item, item, amiss, said.append, mode, mark
    )
    for note in dict.fromkeys(said):
        yield Noted(item, note)
    beside = [*_write_beside(outcome, plan.results, host, amiss, mode)]
    for path in written:
        own.add(path)
    if source is not None and plan.results.keep_dates:
        for path in (*written, *beside):
            be_as_old(path, source)
    for text in amiss:
        yield Amiss(item, text)
    yield Done(item, outcome, written)
    return True


def read(item: Item, host: Host) -> Photo:
    """The photo of a file. Raises: ImageError."""
    host.check(item.path, item.shown)
    return image_io.load(item.path, name=item.name or None)


def _found(item: Item, results: Results) -> os.stat_result | None:
    """As `_look_at`. Raises: PlaceError where the folder that a job was told of is gone."""
    source = _look_at(item)
    root = item.path.parents[len(item.folder.parts)]
    if source is None and results.job and not root.is_dir():
        raise PlaceError(f"{shown_path(root)}: is gone; bring it back")
    return source


def _read(item: Item, results: Results, host: Host) -> Photo:
    """As `read`. Raises: PlaceError as `_found` does."""
    try:
        return read(item, host)
    except ImageError:
        _found(item, results)
        raise


def _once_there(
    item: Item, results: Results, act: Callable[[], Made]
) -> Generator[Held, None, Made]:
    """What `act` gives; a job waits for it as long as its place is full or gone. Raises: PlaceError
    when that takes too long, and whatever `act` raises."""
    until = time.monotonic() + results.wait
    while True:
        try:
            return act()
        except PlaceError as e:
            if not results.job or time.monotonic() >= until:
                raise
            text = str(e)
        yield Held(item, text)
        time.sleep(max(0.0, min(PAUSE, until - time.monotonic())))


def check_place(results: Results) -> None:
    """Raises: PlaceError where the folder of a job's results is gone: it would be made anew on the
    disk below a share."""
    folder = results.output_dir
    if not results.job or folder is None:
        return
    try:
        device = folder.stat().st_dev
    except OSError as e:
        raise PlaceError(f"{shown_path(folder)}: is gone ({reason(e)}); bring it back") from None
    if results.lies_on not in (None, device):
        moved = "lies on another device than when the job began"
        raise PlaceError(f"{shown_path(folder)}: {moved}; bring it back, or begin again")


def _mark(item: Item, source: os.stat_result | None, results: Results) -> str:
    """What a result of a job carries: of the job, the input's name and its version."""
    if not results.job:
        return ""
    said = (results.job, str(item.path.absolute()), _version(source))
    return hashlib.sha256(repr(said).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _has_mark(path: Path, mark: str) -> bool:
    """Whether a file is a whole result of that mark; its pixels are not looked at."""
    try:
        return mark.encode() in path.read_bytes()
    except (OSError, ValueError):
        return False


def write(
    photo: Photo, recipe: Recipe, target: Path, results: Results, *,
    score: Mapping[str, Any] | None = None, source: Item | None = None, mode: int = atomic.OPEN,
    say: Callable[[str], object] = _log.warning, mark: str = "",
) -> Path:  # fmt: skip
    """The file written: what `recipe` has made of a photo, with all that the photo carried, the
    recipe, its `score` and a job's `mark`. Where `results.numbered` a target that is there already
    stays, and a number makes the name another one. A photo that nothing was done to is copied from
    its `source` byte for byte, unless it is to have another format. Nobody sees more of the file
    than `mode` lets; `say` is told what was lost on the way. Raises: ImageError."""

    overwrite = results.overwrite

    def put(path: Path) -> Path:
        as_it_is = recipe == Recipe() and not results.suffix
        if source is not None and as_it_is and image_io.same_format(photo, path):
            # Byte for byte, for encoding anew would lose for nothing.
            atomic.write(path, _bytes(source), overwrite=overwrite, mode=mode)
            return path
        text = file_text(recipe, score)
        if mark:
            text[MARK_KEY] = mark
        return image_io.save(
            photo, photo.pixels, path,
            text=text, quality=results.quality, overwrite=overwrite, mode=mode, say=say,
        )  # fmt: skip

    return names.at_free_name(target, put, clash=ImageError) if results.numbered else put(target)


def _look_at(item: Item) -> os.stat_result | None:
    """What the system says of the item's own file; None of an upload, or where there is none."""
    try:
        return None if item.name else item.path.stat()
    except (OSError, ValueError):
        return None


def _version(file: os.stat_result | None) -> tuple[int, int, int] | None:
    return file and (file.st_ino, file.st_size, file.st_mtime_ns)


def mode_for(source: os.stat_result | None) -> int:
    """Lets nobody read a result who could not read its source."""
    return atomic.OPEN if source is None else atomic.OPEN & (source.st_mode | stat.S_IRWXU)


def be_as_old(path: Path, source: os.stat_result) -> None:
    """Gives a file its source's dates."""
    with suppress(OSError):  # on a file system that knows none of it
        os.utime(path, ns=(source.st_atime_ns, source.st_mtime_ns))


def _result_that_stays(
    item: Item, photo: Photo | None, plan: Plan, own: names.Names, mark: str
) -> Path | None:
    """The path of a result that is there already, where that is no fault; see `_targets`."""
    results = plan.results
    if mark and not results.dry_run:
        path = _targets(item, photo, plan)[0]
        if own.is_there(path) and (_has_mark(path, mark) or _is_copy(item, path)):
            return path
    looks = item.found and results.output is None
    if not (looks or results.skip_existing) or results.overwrite or results.numbered:
        return None
    path = _targets(item, photo, plan)[0]
    if not own.is_there(path):
        return None
    return path if results.skip_existing or _is_result_of(item, path) else None


def _is_result_of(item: Item, path: Path) -> bool:
    """Whether nulie has made a file: it holds a recipe, or is the photo as it was."""
    try:
        recipes.of_file(path)
    except NulieError:
        return _is_copy(item, path)
    return True


def _is_copy(item: Item, path: Path) -> bool:
    with suppress(OSError):
        return filecmp.cmp(item.path, path, shallow=False)
    return False


def _targets(item: Item, photo: Photo | None, plan: Plan) -> list[Path]:
    """Without the photo a guess, which another format in the file would prove wrong."""
    results = plan.results
    path = results.output
    if path is None:
        folder = results.output_dir and results.output_dir / item.folder
        path = names.target(Path(item.name or item.path), folder, photo, results.suffix)
    return names.variants(path, 1 if plan.recipe is not None else plan.settings.top)


def check_beside(targets: Sequence[Path], plan: Plan, own: names.Names) -> list[Path]:
    """The files that go beside the picture, checked. Raises: ImageError."""
    results = plan.results
    wanted = results.save_recipe, results.report, results.checkpoint or plan.resume_file
    beside = [path for path in wanted if path is not None]
    places = [os.path.realpath(path) for path in (*targets, *beside)]
    for path in beside:
        if places.count(os.path.realpath(path)) > 1:
            raise ImageError(f"{shown_path(path)}: two files would be called so; rename one")
        if path != plan.resume_file:
            own.refuse_inputs(path)
            atomic.check(path, overwrite=results.overwrite)
    return beside


def _write(
    outcome: Outcome, targets: Sequence[Path], plan: Plan, source: Item | None, item: Item,
    amiss: list[str], say: Callable[[str], object], mode: int, mark: str,
) -> Generator[Held, None, tuple[Path, ...]]:  # fmt: skip
    """The variants, as many of them as can be; `amiss` is told of the others. Raises: ImageError
    when that is none."""
    results = plan.results

    def put(photo: Photo, recipe: Recipe, target: Path, score: Mapping[str, Any] | None) -> Path:
        check_place(results)
        try:
            return write(
                photo, recipe, target, results,
                score=score, source=source, mode=mode, say=say, mark=mark,
            )  # fmt: skip
        except ImageError:
            check_place(results)  # it may have gone meanwhile
            raise

    if not outcome.changed:
        copy = partial(put, outcome.before, Recipe(), targets[0], None)
        return ((yield from _once_there(item, results, copy)),)
    written: list[Path] = []
    variants = list(enumerate(zip(outcome.recipes(), targets, strict=False)))
    if mark:
        variants.reverse()  # where the first one is, so are the others
    for number, (recipe, target) in variants:
        try:
            made = partial(put, outcome.variant(number), recipe, target, outcome.score(number))
            written.append((yield from _once_there(item, results, made)))
        except (NulieError, MemoryError) as e:
            if mark and isinstance(e, PlaceError):
                raise
            # The search may have taken hours.
            why = str(e) or "the memory is not enough for the result"
            amiss.append(f"{why}; the recipe would be {recipe.to_json()}")
            if not written and (not mark or number == 0):
                raise ImageError(amiss[-1]) from None
    return tuple(reversed(written)) if mark else tuple(written)


def _write_beside(
    outcome: Outcome, results: Results, host: Host, amiss: list[str], mode: int
) -> Iterator[Path]:
    texts: dict[Path | None, Callable[[], str]] = {}
    texts[results.save_recipe] = lambda: outcome.recipe.to_json() + "\n"
    if host.draw is not None:
        texts[results.report] = partial(host.draw, outcome)
    return write_texts(texts, results, amiss, mode)


def write_texts(
    texts: Mapping[Path | None, Callable[[], str]], results: Results, amiss: list[str], mode: int
) -> Iterator[Path]:
    """The recipe and the report, each where it can be; `amiss` is told of the others."""
    for path in filter(None, texts):
        try:
            text = texts[path]().encode()
            atomic.write(path, text, overwrite=results.overwrite, mode=mode)
        except Exception as e:
            _log.debug("%s", path, exc_info=True)
            known = isinstance(e, NulieError)
            amiss.append(str(e) if known else f"{shown_path(path)}: not made ({reason(e)})")
        else:
            yield path


def _bytes(item: Item) -> bytes:
    try:
        return item.path.read_bytes()
    except OSError as e:
        raise ImageError(f"{item.shown}: cannot be read again ({reason(e)})") from None


def pack(paths: Sequence[Path]) -> Path:
    """A zip of files beside the first of them, named after their folder; stored, not compressed,
    for pictures are so already. One that is there is replaced. Raises: ImageError."""
    folder = paths[0].parent
    archive = folder / f"nulie-{folder.name}.zip"
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            for path in paths:
                file.write(path, path.name)
    except OSError as e:
        raise ImageError(f"{shown_path(archive)}: no zip ({reason(e)})") from None
    return archive
