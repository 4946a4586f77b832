"""`nulie score IMAGE...`: what a predictor says of images as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..jobs import events
from . import arguments
from .console import complain, load_libraries
from .progress import download_bar

if TYPE_CHECKING:
    from ..jobs.score import Scored

DESCRIPTION = """\
Prints the scores of images as a table, the best first. By CLIP they are about 1 to 10, as people
rate photos. The embedded predictor judges how much is left to mend, so it serves to compare
versions of one photo, not different photos.
"""
EPILOG = "example:\n  nulie score holiday/ --recursive --json\n"


def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie score", "IMAGE... [options]", DESCRIPTION, EPILOG)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="file, folder or pattern")
    arguments.add_folders(parser.add_argument)
    parser.add_argument("--json", action="store_true", help="one line of JSON an image on stdout")
    parser.add_argument("--quiet", action="store_true", help="print scores and errors only")
    arguments.add_predictor(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    items = arguments.items(options, options.images)
    plan = arguments.plan(options, len(items))
    with load_libraries():
        from ..jobs.host import Host
        from ..jobs.score import Scored, score
    failed = 0
    rows: list[Scored] = []
    with download_bar(hide=options.quiet) as download:
        for event in score(items, plan.choice, Host()):
            if isinstance(event, events.Loading) and event.file:
                download(event.file, event.done, event.size)
            elif isinstance(event, events.Noted) and not options.quiet:
                complain(event.text)
            elif isinstance(event, events.Failed):
                failed += 1
                complain(event.text)
            elif isinstance(event, Scored):
                rows.append(event)
                if options.json:
                    line = {"input": str(event.item.path), "score": round(event.score, 4)}
                    print(json.dumps({**line, "predictor": event.predictor}), flush=True)
    if not options.json:
        for row in sorted(rows, key=lambda row: -row.score):
            print(f"{row.score:8.4f}  {row.item.shown}")
    return 0 if not failed else 2 if not rows else 1
