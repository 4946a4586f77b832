"""`nulie score IMAGE...`: what a predictor says of images as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import arguments, predictors
from .console import complain, importing

if TYPE_CHECKING:
    from ..jobs.score import Scored

DESCRIPTION = """\
Prints the scores of images as a table, the best first. By CLIP they are about 1 to 10, as people
rate photos. The embedded predictor judges how much is left to mend, so it serves to compare
versions of one photo, not different photos.
"""


def parser() -> arguments.Parser:
    parser = arguments.Parser(
        prog="nulie score",
        usage="nulie score IMAGE... [options]",
        description=DESCRIPTION,
        epilog="example:\n  nulie score holiday/ --recursive --json\n",
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="file, folder or pattern")
    parser.add_argument("--recursive", action="store_true", help="look into folders of folders")
    parser.add_argument("--json", action="store_true", help="one line of JSON an image on stdout")
    parser.add_argument("--quiet", action="store_true", help="print scores and errors only")
    predictors.add(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    with importing():
        from ..jobs import events, inputs, plan
    items = inputs.items(options.images, recursive=options.recursive)
    wanted = plan.plan(predictors.values(options), files=len(items))
    with importing():
        from ..jobs.host import Host
        from ..jobs.score import Scored, score
    failed = 0
    rows: list[Scored] = []
    with predictors.download_bar(hide=options.quiet) as download:
        for event in score(items, wanted.choice, Host()):
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
                    print(json.dumps(_line(event)), flush=True)
    if not options.json:
        for row in sorted(rows, key=lambda row: -row.score):
            print(f"{row.score:8.4f}  {row.item.shown}")
    return 0 if not failed else 2 if not rows else 1


def _line(row: Scored) -> dict[str, object]:
    score = round(row.score, 4)
    return {"input": str(row.item.path), "score": score, "predictor": row.predictor}
