"""`nulie IMAGE...`: search for a better version of each image, or apply a recipe."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__, image_io
from ..errors import ImageError, ModelError, NulieError, RecipeError, SettingsError
from ..image_io import atomic, shown_path
from ..recipe import Recipe
from ..recipe.settings import Settings
from . import arguments, checkpoints, predictors, report
from .console import (
    INTERRUPTED,
    NOTHING_WRITTEN,
    complain,
    complain_at_once,
    importing,
    listed,
    on_interrupt,
)

if TYPE_CHECKING:
    from ..engine import Result
    from ..image_io import Photo
    from ..predictor.base import Predictor
    from ..search import Node

EPILOG = """\
examples:
  nulie photo.jpg                                   ten seconds, gentle changes
  nulie photo.jpg --mode hard --seconds 30          drastic changes, too
  nulie holiday/ --recursive --output-dir better/   a whole folder
  nulie photo.jpg --ops brightness,contrast --range brightness=0.8:1.2
  nulie photo.jpg --save-recipe look.json; nulie other.jpg --recipe look.json

The result is written beside the input as photo_nulie.jpg, with all metadata and the recipe in it.
The input is never written to. Ctrl-C ends the search and keeps the best so far.

other commands (each has a --help of its own):
  nulie ui              the same as a page in the browser, with live view and touch-up
  nulie score IMAGE...  what a predictor says of images as they are
  nulie weights         CLIP's files: list, fetch, check
  nulie tree FILE       what a search tried, from its checkpoint
  nulie fit FOLDER      fit the embedded predictor to your own best photos

exit codes: 0 all done, 1 some images failed, 2 nothing was done, 130 stopped by Ctrl-C before all
was done
"""


def parser() -> arguments.Parser:
    defaults = Settings()
    parser = arguments.Parser(
        prog="nulie",
        usage="nulie IMAGE... [options]",
        description="Makes images more pleasing by searching chains of simple operations.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"nulie {__version__}")
    parser.add_argument("--list-ops", action="store_true", help="print the ops, their ranges; end")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="file, folder or pattern")
    out = parser.add_argument_group("where results go")
    out.add_argument("-o", "--output", type=Path, metavar="FILE", help="result of a single image")
    out.add_argument("--output-dir", type=Path, metavar="DIR", help="folder for the results")
    out.add_argument("--overwrite", action="store_true", help="replace existing results")
    out.add_argument("--recursive", action="store_true", help="look into folders of folders")
    out.add_argument("--quality", type=int, metavar="1..100", help="of JPEG, WebP and AVIF")
    search = parser.add_argument_group("search")
    search.add_argument("--mode", default=defaults.mode, help="soft (default) or hard")
    search.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help=f"time for the search of each image (default {defaults.seconds:g})",
    )
    search.add_argument(
        "--evaluations",
        type=int,
        metavar="N",
        help="candidates to score; without --seconds there is no other limit, and the same seed"
        " gives the same bytes",
    )
    search.add_argument("--seed", type=int, default=defaults.seed, metavar="N", help="default 0")
    search.add_argument("--ops", type=arguments.names, metavar="A,B", help="search with these only")
    search.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH",
        help="bounds of an op, such as saturation=1.0:1.3 or gamma.gain=1:1; repeatable",
    )
    search.add_argument(
        "--top", type=int, default=1, metavar="K", help="write K distinct variants, best first"
    )
    guards = parser.add_argument_group("guards")
    guards.add_argument(
        "--min-light",
        type=float,
        default=defaults.min_light,
        metavar="SHARE",
        help=f"least mean light, as a share of the input's (default {defaults.min_light}; 0: off)",
    )
    guards.add_argument(
        "--keep-content",
        type=_points,
        nargs="?",
        const=10.0,
        default=defaults.keep_content,
        metavar="POINTS",
        help="points lost per unit of drift from the input (default 0: off; 10 without a number)",
    )
    guards.add_argument(
        "--protect-skin",
        action=argparse.BooleanOptionalAction,
        default=defaults.protect_skin,
        help="do not let skin get darker",
    )
    predictors.add(parser)
    recipes = parser.add_argument_group("recipes and reports")
    recipes.add_argument(
        "--recipe", type=Path, metavar="FILE", help="apply a recipe (JSON, or an image of nulie's)"
    )
    recipes.add_argument("--save-recipe", type=Path, metavar="FILE", help="write the best recipe")
    recipes.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page of its own: slider, score curve, tree, recipe",
    )
    recipes.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="keep the state of a long search there, written every minute and at the end",
    )
    recipes.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="go on from a checkpoint, with its settings; --seconds and --evaluations count what"
        " it has spent already",
    )
    recipes.add_argument(
        "--checkpoint-every", type=float, default=60.0, metavar="N", help="seconds (default 60)"
    )
    recipes.add_argument("--json", action="store_true", help="one line of JSON an image on stdout")
    recipes.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    if options.list_ops:
        with importing():
            table = report.ops_table()
        print(table)
        return 0
    _check(options)
    settings = _settings(options)
    found = arguments.images(options.images, recursive=options.recursive)
    single = ("output", "save_recipe", "report", "checkpoint", "resume")
    given = next((name for name in single if getattr(options, name)), None)
    if len(found) > 1 and given:
        option = f"--{given.replace('_', '-')}"
        raise SettingsError(f"{option} is for a single image, and here are {len(found)}")
    with importing():
        from .. import transforms  # noqa: F401
    recipe = _read_recipe(options.recipe) if options.recipe else None
    if recipe is None:
        _check_space(settings)
    return _Job(options, settings, recipe, found).run()


def _points(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"{text!r} is no number; write the number, or the option after the images"
        raise argparse.ArgumentTypeError(message) from None


def _check(options: argparse.Namespace) -> None:
    if not options.images:
        raise SettingsError("name an image, a folder or a pattern; see nulie --help")
    if options.recipe and (options.resume or options.checkpoint):
        raise SettingsError("--recipe applies a recipe without a search; leave checkpoints out")
    if options.output and options.output_dir:
        raise SettingsError("--output names the whole path; leave --output-dir out")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise SettingsError(f"quality must be within 1..100, not {options.quality}")
    if options.save_recipe and options.save_recipe.suffix.lower() in arguments.SUFFIXES:
        shown = shown_path(options.save_recipe)
        raise SettingsError(f"--save-recipe {shown}: it writes JSON; choose a name such as x.json")
    if options.report and options.report.suffix.lower() not in (".html", ".htm"):
        shown = shown_path(options.report)
        raise SettingsError(f"--report {shown}: it writes HTML; choose a name such as x.html")
    if options.report and options.recipe:
        raise SettingsError("--report tells of a search, and with --recipe there is none")


def _settings(options: argparse.Namespace) -> Settings:
    seconds = options.seconds
    if seconds is None and options.evaluations is None:
        seconds = Settings().seconds
    return Settings(
        mode=options.mode,
        seconds=seconds,
        evaluations=options.evaluations,
        seed=options.seed,
        ops=options.ops,
        ranges=arguments.bounds(options.range),
        min_light=options.min_light,
        keep_content=options.keep_content,
        protect_skin=options.protect_skin,
        top=options.top,
    )


def _check_space(settings: Settings) -> None:
    """Complains about ops and ranges before any image is read."""
    from ..transforms import space

    space(settings.mode, settings.ops, settings.ranges)  # type: ignore[arg-type]


def _read_recipe(path: Path) -> Recipe:
    """From a JSON file, or from an image that nulie wrote. Raises: RecipeError, ImageError."""
    from ..transforms import check

    shown = shown_path(path)
    if path.suffix.lower() in arguments.SUFFIXES:
        text = image_io.read_text(path).get("nulie")
        if text is None:
            raise RecipeError(f"{shown}: holds no recipe; nulie writes one into its results")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise RecipeError(f"{shown}: is no recipe; give a JSON file or an image") from None
        except OSError as e:
            reason = e.strerror or type(e).__name__
            raise RecipeError(f"{shown}: cannot be read ({reason}); check its name") from None
    try:
        return check(Recipe.from_json(text))
    except RecipeError as e:
        raise RecipeError(f"{shown}: {e}") from None


class _Job:
    """One call of the command: what is the same for all of its images."""

    def __init__(
        self,
        options: argparse.Namespace,
        settings: Settings,
        recipe: Recipe | None,
        images: dict[Path, Path],
    ) -> None:
        self.options = options
        self.settings = settings
        self.recipe = recipe
        self.images = images
        self.cancel = threading.Event()
        self.resume = checkpoints.read(options.resume) if options.resume else None
        self.checkpoint: Path | None = options.checkpoint or options.resume
        if self.resume is not None:
            self.settings = self.resume.budget(options.seconds, options.evaluations)
        own = (options.recipe, Path(options.predictor), options.head, options.clip_weights)
        self._inputs = _Files([*images, *own])
        self._results = _Files()
        self._written: list[Path] = []
        self._predictor: Predictor | None = None

    def run(self) -> int:
        """All images, one after the other; the exit code."""
        paths = list(self.images)
        failed = 0
        for number, path in enumerate(paths):
            try:
                self._work(path)
            except KeyboardInterrupt:
                undone = listed(map(shown_path, paths[number:]))
                complain(f"interrupted; not done: {undone}" if self._written else NOTHING_WRITTEN)
                return INTERRUPTED
            except (NulieError, MemoryError) as e:
                if isinstance(e, ModelError) and self._predictor is None:
                    raise  # nor will it be there for the next image
                failed += 1
                self._failed(path, e)
            rest = paths[number + 1 :]
            if self.cancel.is_set() and rest:
                complain(f"stopped; not looked at: {listed(map(shown_path, rest))}")
                return INTERRUPTED
        if failed and len(paths) > 1:
            complain(f"{failed} of {len(paths)} images failed")
        return 0 if not failed else 2 if failed == len(paths) else 1

    def _failed(self, path: Path, error: Exception) -> None:
        text = str(error)
        if isinstance(error, MemoryError):
            text = f"{shown_path(path)}: the memory is not enough for it; scale it down first"
        complain(text)
        if self.options.json:
            _print_json({"input": str(path), "error": text})

    def _say(self, text: str) -> None:
        """To the person, on stderr where stdout is for the program that reads the JSON."""
        if not self.options.quiet and not (self.options.json and sys.stderr is None):
            print(text, file=sys.stderr if self.options.json else sys.stdout)

    def _interruptible(self) -> AbstractContextManager[None]:
        """The first Ctrl-C sets `cancel`, the second one ends the program."""

        def stop() -> None:
            if self.cancel.is_set():
                raise KeyboardInterrupt
            self.cancel.set()
            if not self.options.quiet:
                complain_at_once("stopping; the best so far is kept (Ctrl-C again: quit)")

        return on_interrupt(stop)

    def _work(self, path: Path) -> None:
        """One image from file to file. Raises: NulieError; nothing is written then."""
        photo = image_io.load(path)
        target = self._target(photo, path)
        targets = [target]
        if self.recipe is None:
            targets += [
                target.with_name(f"{target.stem}_{k}{target.suffix}")
                for k in range(2, self.settings.top + 1)
            ]
        notes = list(photo.notes)
        for one in targets:
            notes += self._check_target(photo, path, one)
        for beside in (self.options.save_recipe, self.options.report, self.options.checkpoint):
            if beside and not (beside == self.checkpoint and beside == self.options.resume):
                self._check_beside(beside)
        for note in dict.fromkeys(notes):
            self._say(note)
        if self.recipe is not None:
            self._apply(photo, path, target, self.recipe)
        else:
            self._search(photo, path, targets)

    def _target(self, photo: Photo, path: Path) -> Path:
        if self.options.output:
            return Path(self.options.output)
        folder = self.options.output_dir
        return image_io.default_output(path, folder and folder / self.images[path], photo=photo)

    def _check_target(self, photo: Photo, path: Path, target: Path) -> Iterable[str]:
        """Raises: ImageError when one of this call's images has the name, or wants it."""
        other = self._results.find(target)
        if other is not None:
            raise ImageError(
                f"{shown_path(path)}: its result would take the name of another one's"
                f" ({shown_path(other)}); enhance it by itself, with --output"
            )
        notes = image_io.check_output(photo, target, overwrite=self.options.overwrite)
        if self._inputs.find(target):
            raise ImageError(
                f"{shown_path(target)}: is an input, and those are never overwritten;"
                " choose another name"
            )
        return notes

    def _check_beside(self, target: Path) -> None:
        """Of a file that is written beside the image."""
        if self._inputs.find(target):
            raise ImageError(
                f"{shown_path(target)}: is an input, and those are never overwritten;"
                " choose another name"
            )
        atomic.check(target, overwrite=self.options.overwrite)

    def _apply(self, photo: Photo, path: Path, target: Path, recipe: Recipe) -> None:
        from ..transforms import describe, render

        self._write(photo, render(recipe, photo.pixels), target, recipe, {})
        self._save_recipe(recipe)
        self._say(f"{shown_path(path)}: {describe(recipe)}\n  saved as {shown_path(target)}")
        if self.options.json:
            _print_json(report.of_recipe(path, recipe, target))

    def _search(self, photo: Photo, path: Path, targets: list[Path]) -> None:
        with importing():
            from ..engine import Enhancement
            from .progress import follow, recorded

        predictor = self._get_predictor()
        run = Enhancement(
            photo.pixels, predictor, self.settings, resume=self.resume, cancel=self.cancel
        )
        with self._interruptible():
            shown = shown_path(Path(path.name))
            points: list[tuple[float, float]] = []
            events = recorded(run.events(), points)
            if self.checkpoint:
                every = self.options.checkpoint_every
                events = checkpoints.kept(run, events, self.checkpoint, every)
            result = follow(events, shown, self.settings, hide=self.options.quiet)
            if result.reason == "cancelled" and not result.evaluations:
                raise KeyboardInterrupt  # before there was a best so far
            written = self._write_variants(photo, path, predictor, result, targets)
            self._save_recipe(result.recipe)
            if self.options.report:
                nodes = run.tree.best()
                self._save_report(photo, path, result, nodes, points, predictor.name)
        self._say(report.words(path, predictor, result, written, self.settings.top))
        if self.options.json:
            _print_json(report.of_search(path, predictor, result, written))

    def _get_predictor(self) -> Predictor:
        if self._predictor is None:
            self._predictor, why = predictors.load(self.options, hide=self.options.quiet)
            if why:
                self._say(why)
        return self._predictor

    def _write_variants(
        self, photo: Photo, path: Path, predictor: Predictor, result: Result, targets: list[Path]
    ) -> list[Path]:
        """The files written, best first."""
        from ..transforms import render

        if not result.variants:
            self._copy(photo, path, targets[0])
            return targets[:1]
        used = targets[: len(result.variants)]
        for number, (variant, target) in enumerate(zip(result.variants, used, strict=True)):
            image = result.image if number == 0 else render(variant.recipe, photo.pixels)
            score = report.score(result, variant, predictor)
            try:
                self._write(photo, image, target, variant.recipe, score)
            except ImageError as e:
                # The search may have taken hours.
                raise ImageError(f"{e}; the recipe would be {variant.recipe.to_json()}") from None
        return used

    def _write(
        self, photo: Photo, image: Any, target: Path, recipe: Recipe, score: dict[str, Any]
    ) -> None:
        data = {**report.data(recipe), **({"score": score} if score else {})}
        image_io.save(
            photo,
            image,
            target,
            text={"nulie": json.dumps(data)},
            quality=self.options.quality,
            overwrite=self.options.overwrite,
        )
        self._note(target)

    def _copy(self, photo: Photo, path: Path, target: Path) -> None:
        """Byte for byte where the format stays: encoding anew would lose for nothing."""
        if not image_io.same_format(photo, target):
            self._write(photo, photo.pixels, target, Recipe(), {})
            return
        try:
            data = path.read_bytes()
        except OSError as e:
            reason = e.strerror or type(e).__name__
            raise ImageError(f"{shown_path(path)}: cannot be read again ({reason})") from None
        atomic.write(target, data, overwrite=self.options.overwrite)
        self._note(target)

    def _note(self, target: Path) -> None:
        self._written.append(target)
        self._results.add(target)

    def _save_recipe(self, recipe: Recipe) -> None:
        if self.options.save_recipe:
            text = recipe.to_json() + "\n"
            atomic.write(self.options.save_recipe, text.encode(), overwrite=self.options.overwrite)

    def _save_report(
        self,
        photo: Photo,
        path: Path,
        result: Result,
        nodes: Sequence[Node],
        points: Sequence[tuple[float, float]],
        predictor: str,
    ) -> None:
        from ..drawing import report as page

        text = page(
            shown_path(Path(path.name)),
            photo,
            result,
            nodes=nodes,
            points=points,
            predictor=predictor,
        )
        atomic.write(self.options.report, text.encode(), overwrite=self.options.overwrite)


class _Files:
    """Files that exist, found again by whatever name or link leads to them."""

    def __init__(self, paths: Iterable[Path | None] = ()) -> None:
        self._found: dict[tuple[int, int], Path] = {}
        for path in paths:
            if path is not None:
                self.add(path)

    def add(self, path: Path) -> None:
        key = _identity(path)
        if key is not None:
            self._found.setdefault(key, path)

    def find(self, path: Path) -> Path | None:
        key = _identity(path)
        return None if key is None else self._found.get(key)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _print_json(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
