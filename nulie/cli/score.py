"""`nulie score IMAGE...`: what a predictor says of images as they are."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..image_io import shown_path
from ..jobs import events
from . import arguments
from .console import complain, load_libraries
from .progress import Bar, download_bar

if TYPE_CHECKING:
    from ..jobs.inputs import Item
    from ..library.scoring import Row
    from ..library.store import Store

DESCRIPTION = """\
Prints the scores of images as a table, the best first. By CLIP they are about 1 to 10, as people
rate photos. The embedded predictor judges how much is left to mend, so it serves to compare
versions of one photo, not different photos.
"""
EPILOG = """\
examples:
  nulie score holiday/ --recursive --json
  nulie score photos/ --recursive --library photos.nulie    a second run reads no image
  nulie score photos/ --recursive --library photos.nulie --min 6 --format csv -o best.csv
  nulie score photos/ --recursive --library photos.nulie --xmp sidecar --stars 5,5.5,6,6.5,7

With --library JPEGs are read at a half, a quarter or an eighth of their size where that will do,
which moves scores by thousandths.
"""


# fmt: off
def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie score", "IMAGE... [options]", DESCRIPTION, EPILOG)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="file, folder or pattern")
    arguments.add_folders(parser.add_argument)
    parser.add_argument("--json", action="store_true", help="one line of JSON an image on stdout")
    parser.add_argument("--quiet", action="store_true", help="print scores and errors only")
    add = parser.add_argument_group("libraries").add_argument
    add("--library", type=Path, metavar="FILE",
        help="keep scores and embeddings there, by what is in the images: each is read once")
    add("--workers", default="auto", metavar="N",
        help="with --library: processes that read, auto (default) or a number")
    arguments.add_engine(add)
    add("--min", type=float, dest="least", metavar="SCORE", help="leave out what scores less")
    add("--max", type=float, dest="most", metavar="SCORE", help="leave out what scores more")
    add("--sort", default="score", metavar="BY",
        help="score (default), the best first; name; or time, the newest first")
    add("--format", default="table", metavar="FORM",
        help="table (default), csv, jsonl, paths, or parquet (extra [library])")
    add("-o", "--output", type=Path, metavar="FILE", help="write the table there")
    add = parser.add_argument_group("for other programs").add_argument
    add("--xmp", metavar="sidecar",
        help="sidecar: write the score into photo.jpg.xmp, or photo.xmp where that is there")
    add("--stars", metavar="A,B,C,D,E",
        help="rate, too: the least scores of 1 to 5 stars, such as 5,5.5,6,6.5,7; a person's own"
        " rating is never replaced")
    add("--embed", action="store_true",
        help="write the score into the images' own metadata (PNG text aesthetic_score, else XMP);"
        " pixels stay as they are")
    arguments.add_predictor(parser)
    return parser
# fmt: on


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    items = arguments.items(options, options.images)
    plan = arguments.plan(_without_output(options), len(items))
    with load_libraries():
        from ..library import export, marking, stars
        from ..library.store import opened
    wanted = export.Wanted(
        options.least, options.most, options.sort, options.format, options.output
    )
    marked = _marking(options, marking, stars)
    with ExitStack() as stack:
        store = None if options.library is None else stack.enter_context(opened(options.library))
        rows = _scored(options, items, plan.choice, store)
        amiss = 0
        if marked:
            for event in marking.mark(export.chosen(rows, wanted), marked, store):
                amiss += 1
                complain(event.text)
    shown = export.chosen(rows, wanted)
    if wanted.output is not None:
        export.write(shown, wanted)
        if not options.quiet:
            print(f"{len(shown):,} rows in {shown_path(wanted.output)}", file=sys.stderr)
    elif not options.json:
        # Of a table errors have been told already.
        kept = [row for row in shown if not (row.error and wanted.format == "table")]
        for line in export.text(kept, wanted.format):
            print(line)
    failed = sum(row.score is None for row in rows)
    if failed == len(rows):
        return 2
    return 1 if failed or amiss else 0


def _without_output(options: argparse.Namespace) -> argparse.Namespace:
    """Without what means something else to a plan."""
    return argparse.Namespace(**{**vars(options), "output": None})


def _marking(options: argparse.Namespace, marking: Any, stars: Any) -> Any:
    if options.xmp not in (None, "sidecar"):
        raise SettingsError(f"--xmp {options.xmp!r} is unknown; there is sidecar")
    if options.stars and not (options.xmp or options.embed):
        raise SettingsError("--stars says what to write; add --xmp sidecar or --embed")
    least = stars.thresholds(options.stars) if options.stars else None
    return marking.Marking(bool(options.xmp), options.embed, least)


def _scored(
    options: argparse.Namespace, items: Sequence[Item], choice: Any, store: Store | None
) -> list[Row]:
    """All rows; shows what happens meanwhile."""
    from ..jobs.score import Scored
    from ..library.scoring import row_of

    rows: list[Row] = []
    with download_bar(hide=options.quiet) as download:
        bar = Bar(hide=options.quiet)
        try:
            for event in _events(options, items, choice, store):
                if isinstance(event, events.Standing):
                    bar.stand(event)
                elif isinstance(event, events.Loading) and event.file:
                    download(event.file, event.done, event.size)
                elif isinstance(event, events.Noted) and not options.quiet:
                    complain(event.text)
                elif isinstance(event, events.Failed):
                    bar.close()
                    complain(event.text)
                    rows.append(row_of(event, choice.name))
                    if options.json:
                        _print_json({"input": event.item.given, "error": event.text})
                elif isinstance(event, Scored):
                    rows.append(row_of(event, choice.name))
                    if options.json:
                        line = {"input": event.item.given, "score": round(event.score, 4)}
                        _print_json({**line, "predictor": event.predictor})
        finally:
            bar.close()
    return rows


def _events(
    options: argparse.Namespace, items: Sequence[Item], choice: Any, store: Store | None
) -> Generator[events.Event | events.Standing, None, None]:
    from ..jobs import cluster
    from ..jobs.host import Host
    from ..jobs.score import score
    from ..jobs.workers import number
    from ..library.scoring import Scoring

    workers, ray = number(options.workers), cluster.address(options.engine, options.address)
    if store is None and ray is not None:
        raise SettingsError("--engine ray scores libraries; add --library FILE")
    if store is None:
        return score(items, choice, Host())
    return Scoring(items, choice, Host(), store, workers, ray).events()


def _print_json(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
