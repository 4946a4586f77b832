"""`nulie IMAGE...`: search for a better version of each image, or apply a recipe."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from .. import __version__, image_io
from ..errors import ImageError, NulieError, RecipeError, SettingsError
from ..image_io import atomic
from ..recipe import Recipe
from ..settings import Settings
from . import arguments

if TYPE_CHECKING:
    from ..engine import Result
    from ..image_io import Photo
    from ..predictor.base import Predictor

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
  nulie fit FOLDER      fit the embedded predictor to your own best photos

exit codes: 0 all done, 1 some images failed, 2 nothing was done, 130 stopped by Ctrl-C
"""


def parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="nulie",
        description="Makes images more pleasing by searching chains of simple operations.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        type=float,
        nargs="?",
        const=10.0,
        default=defaults.keep_content,
        metavar="POINTS",
        help="points lost per unit of drift from the input (default 0: off; alone: 10)",
    )
    guards.add_argument(
        "--protect-skin",
        action=argparse.BooleanOptionalAction,
        default=defaults.protect_skin,
        help="do not let skin get darker",
    )
    arguments.add_predictor(parser)
    recipes = parser.add_argument_group("recipes and reports")
    recipes.add_argument(
        "--recipe", type=Path, metavar="FILE", help="apply a recipe (JSON, or an image of nulie's)"
    )
    recipes.add_argument("--save-recipe", type=Path, metavar="FILE", help="write the best recipe")
    recipes.add_argument("--json", action="store_true", help="one line of JSON an image on stdout")
    recipes.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    if options.list_ops:
        print(_ops_table())
        return 0
    if not options.images:
        parser().print_usage(sys.stderr)
        print("nulie: name an image, or see nulie --help", file=sys.stderr)
        return 2
    settings = _settings(options)
    paths = arguments.images(options.images, recursive=options.recursive)
    if len(paths) > 1 and (options.output or options.save_recipe):
        option = "--output" if options.output else "--save-recipe"
        raise SettingsError(f"{option} is for a single image, and here are {len(paths)}")
    recipe = _read_recipe(options.recipe) if options.recipe else None
    if recipe is None:
        _check_space(settings)
    job = _Job(options, settings, recipe)
    failed = 0
    with job.interruptible():
        for number, path in enumerate(paths):
            if job.cancel.is_set():
                job.say(f"stopped; {len(paths) - number} of {len(paths)} images were not looked at")
                return 130
            try:
                job.work(path)
            except NulieError as e:
                failed += 1
                print(f"nulie: {e}", file=sys.stderr)
    if failed and len(paths) > 1:
        print(f"nulie: {failed} of {len(paths)} images failed", file=sys.stderr)
    return 0 if not failed else 2 if failed == len(paths) else 1


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

    if path.suffix.lower() in arguments.SUFFIXES:
        text = image_io.read_text(path).get("nulie")
        if text is None:
            raise RecipeError(f"{path}: holds no recipe; nulie writes one into its results")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise RecipeError(f"{path}: is no recipe; give a JSON file or an image") from None
        except OSError as e:
            raise RecipeError(f"{path}: cannot be read ({e.strerror})") from None
    try:
        return check(Recipe.from_json(text))
    except RecipeError as e:
        raise RecipeError(f"{path}: {e}") from None


class _Job:
    """One call of the command: what is the same for all of its images."""

    def __init__(
        self, options: argparse.Namespace, settings: Settings, recipe: Recipe | None
    ) -> None:
        self.options = options
        self.settings = settings
        self.recipe = recipe
        self.cancel = threading.Event()
        self._predictor: Predictor | None = None

    def say(self, text: str) -> None:
        """To the person, on stderr where stdout is for the program that reads the JSON."""
        if not self.options.quiet:
            print(text, file=sys.stderr if self.options.json else sys.stdout)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """The first Ctrl-C sets `cancel`, the second one ends the program."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self.cancel.is_set():
                raise KeyboardInterrupt
            self.cancel.set()
            if not self.options.quiet:
                print("\nnulie: stopping; the best so far is kept (again to quit)", file=sys.stderr)

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def work(self, path: Path) -> None:
        """One image from file to file. Raises: NulieError; nothing is written then."""
        photo = image_io.load(path)
        target = self._target(photo, path)
        targets = [target] + [
            target.with_name(f"{target.stem}_{k}{target.suffix}")
            for k in range(2, self.settings.top + 1)
        ]
        notes = list(photo.notes)
        for one in targets:
            notes += image_io.check_output(photo, one, overwrite=self.options.overwrite)
        for note in dict.fromkeys(notes):
            self.say(note)
        if self.recipe is not None:
            self._apply(photo, path, target, self.recipe)
        else:
            self._search(photo, path, targets)

    def _target(self, photo: Photo, path: Path) -> Path:
        if self.options.output:
            return Path(self.options.output)
        return image_io.default_output(path, self.options.output_dir, photo=photo)

    def _apply(self, photo: Photo, path: Path, target: Path, recipe: Recipe) -> None:
        from ..transforms import describe, render

        self._write(photo, render(recipe, photo.pixels), target, recipe, {})
        self.say(f"{path}: {describe(recipe)}\n  saved as {target}")
        if self.options.json:
            self._print_json({"input": str(path), "recipe": _data(recipe), "output": [str(target)]})

    def _search(self, photo: Photo, path: Path, targets: list[Path]) -> None:
        from ..engine import Enhancement
        from ..transforms import describe, render
        from .progress import follow

        predictor = self._get_predictor()
        run = Enhancement(photo.pixels, predictor, self.settings, cancel=self.cancel)
        result = follow(run.events(), path.name, self.settings, hide=self.options.quiet)
        written = []
        for number, (variant, target) in enumerate(zip(result.variants, targets, strict=False)):
            image = result.image if number == 0 else render(variant.recipe, photo.pixels)
            score = {"before": result.base.score, "after": variant.terms.score}
            self._write(photo, image, target, variant.recipe, {**score, "by": predictor.name})
            written.append(target)
        if not result.variants:
            # Byte for byte where the format stays: encoding anew would lose for nothing.
            self._copy(photo, path, targets[0])
            written.append(targets[0])
        if self.options.save_recipe:
            text = result.recipe.to_json() + "\n"
            atomic.write(self.options.save_recipe, text.encode(), overwrite=self.options.overwrite)
        self._tell(path, predictor, result, written, describe)
        if self.options.json:
            self._print_json(_report(path, predictor, result, written))

    def _get_predictor(self) -> Predictor:
        if self._predictor is None:
            from ..predictor import create

            self._predictor, why = create(self.options.predictor, device=self.options.device)
            if why:
                self.say(why)
        return self._predictor

    def _write(
        self, photo: Photo, image: Any, target: Path, recipe: Recipe, score: dict[str, Any]
    ) -> None:
        data = {**_data(recipe), **({"score": score} if score else {})}
        image_io.save(
            photo,
            image,
            target,
            text={"nulie": json.dumps(data)},
            quality=self.options.quality,
            overwrite=self.options.overwrite,
        )

    def _copy(self, photo: Photo, path: Path, target: Path) -> None:
        if target.suffix.lower() == path.suffix.lower():
            try:
                atomic.write(target, path.read_bytes(), overwrite=self.options.overwrite)
            except OSError as e:
                raise ImageError(f"{path}: cannot be read again ({e.strerror})") from None
        else:
            self._write(photo, photo.pixels, target, Recipe(), {})

    def _tell(
        self, path: Path, predictor: Predictor, result: Result, written: list[Path], describe: Any
    ) -> None:
        rate = result.evaluations / result.seconds if result.seconds else 0.0
        lines = [f"{path}:"]
        if result.variants:
            for number, variant in enumerate(result.variants, 1):
                mark = f"{number}. " if len(result.variants) > 1 else ""
                lines.append(
                    f"  {mark}score {result.base.score:.2f} -> {variant.terms.score:.2f}"
                    f" ({predictor.name}), {describe(variant.recipe)}"
                )
        else:
            lines.append(
                f"  nothing found that beats it (score {result.base.score:.2f},"
                f" {predictor.name}): it stays as it is"
            )
        if 0 < len(result.variants) < self.settings.top:
            lines.append(f"  only {len(result.variants)} distinct variants beat the input")
        stopped = "stopped after " if result.reason == "cancelled" else ""
        lines.append(
            f"  {stopped}{result.evaluations:,} nodes in {result.seconds:.1f} s,"
            f" {rate:,.0f} a second"
        )
        lines.append(f"  saved as {', '.join(map(str, written))}")
        self.say("\n".join(lines))

    def _print_json(self, report: dict[str, Any]) -> None:
        print(json.dumps(report), flush=True)


def _data(recipe: Recipe) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(recipe.to_json())
    return data


def _report(
    path: Path, predictor: Predictor, result: Result, written: list[Path]
) -> dict[str, Any]:
    return {
        "input": str(path),
        "predictor": predictor.name,
        "changed": bool(result.variants),
        "before": asdict(result.base),
        "variants": [
            {"recipe": _data(v.recipe), "after": asdict(v.terms)} for v in result.variants
        ],
        "recipe": _data(result.recipe),
        "evaluations": result.evaluations,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "output": [str(p) for p in written],
    }


def _ops_table() -> str:
    from ..transforms import ops

    lines = []
    for op in ops().values():
        lines.append(f"{op.id}: {op.help}")
        for param in op.params:
            dial = param.dial
            ranges = [
                f"{mode} {bound[0]:g}..{bound[1]:g}"
                for mode, bound in (("soft", param.soft), ("hard", param.hard))
                if bound
            ]
            lines.append(
                f"    {dial.name} ({dial.unit}): {', '.join(ranges)},"
                f" at most {dial.low:g}..{dial.high:g}, neutral {dial.neutral:g}"
            )
    return "\n".join(lines)
