"""`nulie fit FOLDER`: fit the embedded predictor to a collection of good photographs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import SettingsError
from ..image_io import shown_path
from ..jobs.fit import Fit
from . import arguments
from .console import complain, load_libraries
from .progress import shares

DESCRIPTION = """\
Fits the predictor `statistics` to photographs that you find good: photos of your own, as you
like them. It learns by spoiling them and mending them again.
Some dozens will do, hundreds are better.
"""
EPILOG = """\
example:
  nulie fit best/ --recursive -o taste.safetensors
  nulie photo.jpg --predictor taste.safetensors
"""


def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie fit", "FOLDER... [options]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("photos", nargs="*", metavar="FOLDER", help="folder, pattern or files")
    where = "where the fitted predictor goes (default taste.safetensors)"
    add("-o", "--output", type=Path, default="taste.safetensors", metavar="FILE", help=where)
    add("--overwrite", action="store_true", help="replace an existing file")
    arguments.add_folders(add)
    effort = "X times the usual examples and steps (default 1, which takes minutes)"
    add("--effort", type=float, default=1.0, metavar="X", help=effort)
    add("--seed", type=int, default=0, metavar="N", help="default 0")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "photos")
    if not options.photos:
        raise SettingsError("name a folder of photographs; see nulie fit --help")
    items = arguments.items(options, options.photos)
    work = Fit(items, options.output, options.effort, options.seed, options.overwrite)
    with load_libraries():
        from .. import fit  # noqa: F401  # takes seconds
    with shares(hide=options.quiet) as show:
        taken = work.run(show, complain)
    if not options.quiet:
        shown = shown_path(options.output)
        print(f"fitted to {taken} photographs, saved as {shown}")
        print(f"use it: nulie photo.jpg --predictor {shown}")
    return 1 if taken < len(items) else 0
