"""`nulie score IMAGE...`: what a predictor says of images as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from .. import image_io
from ..errors import NulieError
from ..image_io import shown_path
from . import arguments, predictors
from .console import complain, importing

if TYPE_CHECKING:
    import torch

    from ..predictor.base import Predictor

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
    paths = list(arguments.images(options.images, recursive=options.recursive))
    predictor, why = predictors.load(options, hide=options.quiet)
    if why and not options.quiet:
        complain(why)
    with importing():
        from ..predictor import exact_form, score_photos
    exact = exact_form(predictor)
    failed: list[Path] = []
    rows: list[tuple[float, Path]] = []
    previews = _previews(paths, exact, failed)
    while batch := list(islice(previews, exact.batch_size)):
        scores = score_photos(exact, [preview for _, preview in batch])
        for (path, _), score in zip(batch, scores, strict=True):
            rows.append((score, path))
            if options.json:
                line = {"input": str(path), "score": round(score, 4), "predictor": predictor.name}
                print(json.dumps(line), flush=True)
    if not options.json:
        for score, path in sorted(rows, key=lambda row: -row[0]):
            print(f"{score:8.4f}  {shown_path(path)}")
    return 0 if not failed else 2 if len(failed) == len(paths) else 1


def _previews(
    paths: Sequence[Path], predictor: Predictor, failed: list[Path]
) -> Iterator[tuple[Path, torch.Tensor]]:
    """What the predictor is to see of each image; one that cannot be read is reported."""
    from ..transforms.preview import shrink

    for path in paths:
        try:
            yield path, shrink(image_io.load(path).pixels, predictor.input_size)
        except NulieError as e:
            failed.append(path)
            complain(str(e))
