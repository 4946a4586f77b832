"""`nulie fit FOLDER`: fit the embedded predictor to a collection of good photographs."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import image_io
from ..errors import ImageError, SettingsError
from ..image_io import atomic, shown_path
from . import arguments
from .console import complain, importing

if TYPE_CHECKING:
    import torch
    from PIL import Image

EXAMPLES, STEPS = 40_000, 1_000
"""What one unit of effort is."""
LEAST_STEPS = 20
"""With fewer the rate of learning has no time to rise and fall."""

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
    parser = arguments.Parser(
        prog="nulie fit",
        usage="nulie fit FOLDER... [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("photos", nargs="*", metavar="FOLDER", help="folder, pattern or files")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("taste.safetensors"),
        metavar="FILE",
        help="where the fitted predictor goes (default taste.safetensors)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--recursive", action="store_true", help="look into folders of folders")
    parser.add_argument(
        "--effort",
        type=float,
        default=1.0,
        metavar="X",
        help="X times the usual examples and steps (default 1, which takes minutes)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "photos")
    _check(options)
    found = arguments.images(options.photos, recursive=options.recursive)
    atomic.check(options.output, overwrite=options.overwrite)
    with importing():
        from ..fit import statistics as fitting
        from .progress import shares

    with shares(hide=options.quiet) as progress:
        photos = _Photos(list(found), progress)
        weights = fitting.fit(
            photos.read(),
            seed=options.seed,
            examples=round(EXAMPLES * options.effort),
            steps=max(LEAST_STEPS, round(STEPS * options.effort)),
            progress=progress,
        )
    _write(weights, options.output, overwrite=options.overwrite)
    if not options.quiet:
        shown = shown_path(options.output)
        print(f"fitted to {photos.taken} photographs, saved as {shown}")
        print(f"use it: nulie photo.jpg --predictor {shown}")
    return 1 if photos.taken < len(found) else 0


def _check(options: argparse.Namespace) -> None:
    if not options.photos:
        raise SettingsError("name a folder of photographs; see nulie fit --help")
    if not 0 < options.effort <= 1_000:
        raise SettingsError(f"effort must be above 0 and at most 1000, not {options.effort:g}")
    if options.output.suffix != ".safetensors":
        shown = shown_path(options.output)
        raise SettingsError(f"--output {shown}: choose a name that ends in .safetensors")


class _Photos:
    """Reads the photographs one at a time; what cannot be read is reported and left out."""

    def __init__(self, paths: Sequence[Path], show: Callable[[str, float], None]) -> None:
        self._paths = paths
        self._show = show
        self.taken = 0

    def read(self) -> Iterator[Image.Image]:
        for number, path in enumerate(self._paths):
            self._show("reading photographs", number / len(self._paths))
            try:
                photo = image_io.load(path)
            except ImageError as e:
                complain(str(e))
                continue
            self.taken += 1
            yield photo.pixels


def _write(weights: Mapping[str, torch.Tensor], path: Path, *, overwrite: bool) -> None:
    """Whole or not at all. Raises: ImageError as `atomic.write` does."""
    from ..predictor import statistics

    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "weights.safetensors"
        statistics.write(weights, part)
        atomic.write(path, part.read_bytes(), overwrite=overwrite)
