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
from ..recipe.settings import Settings
from . import arguments, console
from .console import load_libraries
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
    defaults = Settings()
    parser = arguments.Parser("nulie match", "BEFORE AFTER [options]", DESCRIPTION, EPILOG)
    # fmt: off
    parser.add_argument("images", nargs="*", metavar="BEFORE AFTER", help="two files")
    add = parser.add_argument
    time = f"time for the search (default {defaults.seconds:g}); it ends earlier when it is done"
    add("--seconds", type=float, metavar="N", help=time)
    add(
        "--evaluations", type=int, metavar="N",
        help="candidates to look at; without --seconds there is no other limit, and on one machine"
        " the same seed gives the same recipe",
    )
    add("--seed", type=int, default=defaults.seed, metavar="N", help="another seed, another search")
    add("--save-recipe", type=Path, metavar="FILE", help="write the recipe")
    add("--overwrite", action="store_true", help="replace a recipe that is there")
    add("--json", action="store_true", help="one line of JSON on stdout")
    add("--quiet", action="store_true", help="print errors only")
    # fmt: on
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    if len(options.images) != 2:
        raise SettingsError("name two pictures, BEFORE and AFTER; see nulie match --help")
    seconds = options.seconds
    if seconds is None and options.evaluations is None:
        seconds = Settings().seconds
    before, after = map(Path, options.images)
    work = Matching(
        before, after, seconds, options.evaluations, options.seed,
        options.save_recipe, options.overwrite,
    )  # fmt: skip
    with load_libraries():
        from ..engine import match  # noqa: F401  # takes seconds
    cancel = threading.Event()

    def stop() -> None:
        """The first Ctrl-C ends the search, the second one the program."""
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        if not options.quiet:
            console.complain_at_once("stopping; the best so far is kept (Ctrl-C again: quit)")

    with shares(hide=options.quiet) as bar, console.on_interrupt(stop):
        found = work.run(lambda share, left: bar(f"{left:.2f} left", share), cancel)
    if options.json:
        print(json.dumps(data(work, found)), flush=True)
    if not options.quiet and not (options.json and sys.stderr is None):
        lines = words(found)
        if work.save_recipe is not None:
            lines.append(f"saved as {shown_path(work.save_recipe)}")
        print("\n".join(lines), file=sys.stderr if options.json else sys.stdout)
    return 0
