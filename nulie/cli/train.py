"""`nulie train KIND FOLDER`: a restorer for one's own pictures."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from ..errors import SettingsError
from ..image_io import shown_path
from ..jobs import inputs
from ..jobs.train import KINDS, Train
from ..jobs.train_color import TrainColor, TrainedColor
from . import arguments
from .console import INTERRUPTED, complain, load_libraries, stop_on_interrupt
from .progress import shares

DESCRIPTION = """\
Trains a network that restores: it learns from clean pictures, which are spoiled for that, or from
pairs of pictures. Its kinds:

  upscale   twice or four times as large
  repair    traces of JPEG
  denoise   noise
  scan      halftone, grain and dust of printed pages
  color     colours of black-and-white photographs, from photographs in colour
"""
EPILOG = """\
examples:
  nulie train scan clean/ --name mybook --minutes 60
  nulie train scan clean/ --spoiled scans/ --name mybook --from scan
  nulie page.jpg --model mybook
  nulie train color holidays/ --name ours; nulie old.jpg --colorize ours

Ctrl-C stops it, and the same command goes on. At the end it says how well pictures are restored
that were kept apart, and writes a contact sheet of them.
"""

COLOR = "color"


def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie train", "KIND FOLDER... [options]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("kind", metavar="KIND", help=", ".join((*KINDS, COLOR)))
    add("pictures", nargs="*", metavar="FOLDER", help="clean pictures: folder, pattern or files")
    add("--name", required=True, help="what the restorer is to be called")
    add("--spoiled", type=Path, metavar="FOLDER",
        help="the same pictures, by the same names, as they are to be mended")  # fmt: skip
    add("--minutes", type=float, default=30.0, metavar="N", help="how long (default 30)")
    add("--steps", type=int, metavar="N", help="how long, in steps; the same command then makes"
        " the same file")  # fmt: skip
    add("--from", dest="start", metavar="NAME|FILE",
        help="begin with this network, such as x2 or scan: less is to be learned")  # fmt: skip
    add(
        "--perceptual",
        action="store_true",
        help="let it look like the truth, too, to a small network that knows photographs",
    )
    add(
        "--adversarial",
        action="store_true",
        help="let it look real, too, to a network that learns to tell it from photographs; both are"
        " for a --from that knows its job, and make what is sharper and less true",
    )
    add("--scale", type=int, metavar="2|4", help="of upscale (default 2)")
    add("--features", type=int, metavar="N",
        help="width of the network (default 48, or as --from)")  # fmt: skip
    add("--depth", type=int, metavar="N",
        help="its hidden layers (default 8, or as --from, which more can be added to)")  # fmt: skip
    add("--recursive", action="store_true", help="look into folders of folders")
    add("--seed", type=int, default=0, metavar="N", help="default 0")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    add("--overwrite", action="store_true", help="replace the restorer of that name")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def main(argv: Sequence[str]) -> int:
    asked = parser()
    options = asked.parse(argv, "pictures")
    quiet = options.quiet
    if not options.pictures:
        raise SettingsError("name a folder of clean pictures; see nulie train --help")
    kind = TrainColor if options.kind == COLOR else Train
    known = {f.name for f in fields(kind)}
    for name in sorted({f.name for f in fields(Train)} - known - {"kind"}):
        if getattr(options, name) != asked.get_default(name):
            raise SettingsError(f"--{name} is not for {options.kind}; see nulie train --help")
    given = {name: getattr(options, name) for name in known if name != "items"}
    work = kind(items=inputs.items(options.pictures, recursive=options.recursive), **given)
    with load_libraries():
        from ..fit import restorers  # noqa: F401  # takes seconds
    cancel = threading.Event()
    with shares(hide=quiet) as show, stop_on_interrupt(cancel, quiet=quiet):
        trained = work.run(show, complain, cancel)
    if trained is None:
        complain("stopped; the same command goes on")
        return INTERRUPTED
    if quiet:
        return 0
    print(f"trained on {trained.pictures} pictures in {trained.steps:,} steps")
    if isinstance(trained, TrainedColor):
        print(trained.table())
        print(f"  some of them on {shown_path(trained.sheet)}: grey, coloured, as they were")
        print(f"use it: nulie photo.jpg --colorize {work.name}")
    else:
        print(f"pictures kept apart: {trained.before:.2f} -> {trained.after:.2f} dB (PSNR),")
        print(f"  on {shown_path(trained.sheet)}: spoiled, restored, as it should be")
        print(f"use it: nulie photo.jpg --model {work.name}")
    return 0
