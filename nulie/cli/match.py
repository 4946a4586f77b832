"""`nulie match BEFORE AFTER`: the recipe that turns one picture into the other."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ..errors import SettingsError
from ..image_io import shown_path
from ..jobs.match import Matching, data, words
from ..recipe import Settings
from . import arguments
from .console import load_libraries, stop_on_interrupt
from .progress import shares

DESCRIPTION = """\
Finds the recipe that turns one picture into another version of the same photo, made by any editor:
what was done to it, in words, and as a recipe for other photos. Sizes may differ; neither may be
cropped. It says, too, what is left that no recipe does: local edits, vignettes, sharpening.
"""
EPILOG = """\
example:
  nulie match photo.jpg edited.jpg --save-recipe look.json; nulie other.jpg --recipe look.json

Ctrl-C ends the search and keeps the best so far.
"""


def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie match", "BEFORE AFTER [options]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("images", nargs="*", metavar="BEFORE AFTER", help="two files")
    time = f"time for the search (default {Settings.seconds:g}); it ends earlier when it is done"
    arguments.add_budget(add, time, same="recipe")
    add("--save-recipe", type=Path, metavar="FILE", help="write the recipe")
    add("--overwrite", action="store_true", help="replace a recipe that is there")
    add("--json", action="store_true", help="one line of JSON on stdout")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    if len(options.images) != 2:
        raise SettingsError("name two pictures, BEFORE and AFTER; see nulie match --help")
    seconds = options.seconds
    if seconds is None and options.evaluations is None:
        seconds = Settings.seconds
    before, after = map(Path, options.images)
    work = Matching(
        before, after, seconds, options.evaluations, options.seed or Settings.seed,
        options.save_recipe, options.overwrite,
    )  # fmt: skip
    with load_libraries():
        from ..engine import match  # noqa: F401  # takes seconds
    cancel = threading.Event()
    with shares(hide=options.quiet) as bar, stop_on_interrupt(cancel, quiet=options.quiet):
        found = work.run(lambda share, left: bar(f"{left:.2f} left", share), cancel)
    if options.json:
        print(json.dumps(data(work, found)), flush=True)
    if not options.quiet and not (options.json and sys.stderr is None):
        lines = words(found)
        if work.save_recipe is not None:
            lines.append(f"saved as {shown_path(work.save_recipe)}")
        print("\n".join(lines), file=sys.stderr if options.json else sys.stdout)
    return 0
