"""`nulie duplicates LIBRARY FILE`: pictures of a library that look alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import SettingsError
from ..image_io import shown_path
from . import arguments
from .console import complain, load_libraries

DESCRIPTION = """\
Finds pictures that look alike, in groups, the best of each first. FILE is what `nulie score
--library FILE` has made: by CLIP its embeddings are compared, else a perceptual hash (extra
[library]). Nothing is deleted.
"""
EPILOG = """\
examples:
  nulie duplicates photos/ photos.nulie --recursive
  nulie duplicates photos/ photos.nulie --recursive --keep best -o keep.txt   a list
  nulie duplicates photos/ photos.nulie --recursive --keep best --move aside/ the rest goes there
"""


# fmt: off
def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie duplicates", "LIBRARY FILE [options]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("images", nargs="*", metavar="LIBRARY FILE",
        help="images, folders or patterns, and the file of `nulie score --library`")
    arguments.add_folders(add)
    add("--least", type=float, metavar="0..1",
        help="least likeness (default 0.96 of embeddings, 0.8 of hashes); lower: more alike")
    add("--keep", metavar="best", help="best: what to do is to keep the best of each group")
    add("-o", "--output", type=Path, metavar="FILE",
        help="with --keep: write the paths of what is kept, and of all that is alone, there")
    add("--move", type=Path, metavar="DIR", help="with --keep: move the rest of each group there")
    add("--json", action="store_true", help="one line of JSON a group on stdout")
    add("--quiet", action="store_true", help="print errors only")
    return parser
# fmt: on


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    if len(options.images) < 2:
        raise SettingsError("name images and a library's file; see nulie duplicates --help")
    if options.keep not in (None, "best"):
        raise SettingsError(f"--keep {options.keep!r} is unknown; there is best")
    if bool(options.keep) != bool(options.output or options.move):
        raise SettingsError("--keep best goes with -o FILE or --move DIR, and these with it")
    if options.least is not None and not 0 < options.least <= 1:
        raise SettingsError(f"least must be above 0 and at most 1, not {options.least:g}")
    *named, file = options.images
    items = arguments.items(options, named)
    with load_libraries():
        from ..library import duplicates
        from ..library.store import opened
    with opened(Path(file), new=False) as store:
        groups = duplicates.groups(items, store, least=options.least)
        for text in store.notes:
            complain(text)
    rest = {item.path for group in groups for item in group.items[1:]}
    if options.output is not None:
        duplicates.write_kept(items, groups, options.output)
    moved = duplicates.put_aside(groups, options.move) if options.move else []
    for group in groups:
        if options.json:
            rows = zip(group.items, group.scores, strict=True)
            print(json.dumps([{"path": item.given, "score": score} for item, score in rows]))
        elif not options.quiet:
            for item, score in zip(group.items, group.scores, strict=True):
                print(f"{'       -' if score is None else f'{score:8.4f}'}  {item.shown}")
            print()
    if not options.quiet:
        told = f"{len(groups):,} groups, {len(rest):,} pictures beside the best of each"
        told += f", moved to {shown_path(options.move)}" if moved else ""
        print(told, file=sys.stderr)
    return 0
