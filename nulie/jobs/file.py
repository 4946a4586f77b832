"""One file becomes one file, or several variants of it, with all that is written beside."""

from __future__ import annotations

import logging
import threading
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import image_io
from ..errors import ImageError, NulieError
from ..image_io import Photo, atomic, reason, shown_path
from ..recipe import Recipe
from . import names, restoration
from .checkpoints import Keeper
from .events import Done, Event, Loading, Noted
from .host import Host
from .inputs import Item
from .outcome import Outcome, file_text
from .plan import Plan, Results

_log = logging.getLogger(__name__)


def process(
    item: Item, plan: Plan, host: Host, own: names.Names, *, cancel: threading.Event
) -> Generator[Event, None, bool]:
    """Reads a photo, does what the plan says, writes what came of it. Ends with `Done`, or without
    when it was cancelled before there was anything to write; whether it was done.

    Raises: NulieError; nothing is written then."""
    photo = read(item, host)
    targets = _targets(item, photo, plan)
    notes = list(photo.notes)
    if not plan.results.numbered:
        for target in targets:
            notes += own.check(photo, item.shown, target)
    keeper = _check_beside(plan, own)
    for note in dict.fromkeys(notes):
        yield Noted(item, note)
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
    said = [note for note in outcome.after.notes if note not in notes]
    written = _write(item, outcome, targets, plan, host, said.append)
    for path in written:
        own.add(path)
    for note in dict.fromkeys(said):
        yield Noted(item, note)
    results = plan.results
    if results.save_recipe:
        text = outcome.recipe.to_json() + "\n"
        atomic.write(results.save_recipe, text.encode(), overwrite=results.overwrite)
    if results.report and host.draw is not None:
        atomic.write(results.report, host.draw(outcome).encode(), overwrite=results.overwrite)
    yield Done(item, outcome, written)
    return True


def read(item: Item, host: Host) -> Photo:
    """The photo of a file. Raises: ImageError."""
    host.check(item.path, item.shown)
    return image_io.load(item.path, name=item.name or None)


def write(
    photo: Photo, recipe: Recipe, target: Path, results: Results, *,
    score: Mapping[str, Any] | None = None, source: Item | None = None,
    say: Callable[[str], object] = _log.warning,
) -> Path:  # fmt: skip
    """The file written: what `recipe` has made of a photo, with all that the photo carried, the
    recipe and its `score`. Where `results.numbered` a target that is there already stays, and a
    number makes the name another one. A photo that nothing was done to is copied from its `source`
    byte for byte, unless it is to have another format. `say` is told what was lost on the way.
    Raises: ImageError."""

    def put(path: Path) -> Path:
        as_it_is = recipe == Recipe() and not results.suffix
        if source is not None and as_it_is and image_io.same_format(photo, path):
            # Byte for byte, for encoding anew would lose for nothing.
            atomic.write(path, _bytes(source), overwrite=results.overwrite)
            return path
        text, quality = file_text(recipe, score), results.quality
        overwrite = results.overwrite
        return image_io.save(
            photo, photo.pixels, path, text=text, quality=quality, overwrite=overwrite, say=say
        )

    return names.at_free_name(target, put, clash=ImageError) if results.numbered else put(target)


def _targets(item: Item, photo: Photo, plan: Plan) -> list[Path]:
    results = plan.results
    path = results.output
    if path is None:
        folder = results.output_dir and results.output_dir / item.folder
        path = names.target(Path(item.name or item.path), folder, photo, results.suffix)
    return names.variants(path, 1 if plan.recipe is not None else plan.settings.top)


def _check_beside(plan: Plan, own: names.Names) -> Keeper | None:
    """Checks the files that go beside the picture; who writes the checkpoint, where one is kept.

    Raises: ImageError."""
    results = plan.results
    checkpoint = results.checkpoint or plan.resume_file
    for path in (results.save_recipe, results.report, results.checkpoint):
        if path and not (path == checkpoint and path == plan.resume_file):
            own.refuse_inputs(path)
            atomic.check(path, overwrite=results.overwrite)
    return Keeper(checkpoint, results.checkpoint_every) if checkpoint else None


def _write(
    item: Item, outcome: Outcome, targets: Sequence[Path], plan: Plan, host: Host,
    say: Callable[[str], object],
) -> tuple[Path, ...]:  # fmt: skip
    if not outcome.changed:
        return (write(outcome.before, Recipe(), targets[0], plan.results, source=item, say=say),)
    written: list[Path] = []
    for number, (recipe, target) in enumerate(zip(outcome.recipes(), targets, strict=False)):
        photo = outcome.variant(number, host.models)
        try:
            score = outcome.score(number)
            results = plan.results
            path = write(photo, recipe, target, results, score=score, source=item, say=say)
            written.append(path)
        except NulieError as e:
            # The search may have taken hours.
            raise ImageError(f"{e}; the recipe would be {recipe.to_json()}") from None
    return tuple(written)


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
