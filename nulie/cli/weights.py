"""`nulie weights`: what the predictors' files are, where they lie; `fetch` and `check` them."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import SettingsError
from ..models import store
from ..predictor.published import WEIGHTS as JUDGING
from ..restore.catalog import PUBLISHED
from ..restore.color_models import WEIGHTS as COLORING
from . import arguments
from .console import complain
from .progress import download_bar

WEIGHTS = {**JUDGING, **PUBLISHED, **COLORING}
DESCRIPTION = """\
Lists the files of the predictors, those of CLIP and of retouch, the restorers of other people, and
what colours photos: where they lie, their size and licence.

  nulie weights                   list them
  nulie weights fetch [NAME]      download those of a predictor (default clip-sac), or one file
  nulie weights check             compute and compare every digest

Heads and the files of retouch are kept in nulie's cache (NULIE_HOME, else the platform's cache
folder), encoders in the Hugging Face cache (HF_HOME). Files that are already there, such as
~/.cache/clip/ViT-L-14.pt, are used where they lie.
"""


def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie weights", "[fetch [NAME] | check]", DESCRIPTION)
    parser.add_argument("what", nargs="*", metavar="fetch [NAME] | check", help="see above")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    verb, *names = options.what or ["list"]
    if verb not in ("list", "fetch", "check") or len(names) > (verb == "fetch"):
        raise SettingsError(f"weights {' '.join(options.what)}: see nulie weights --help")
    if verb == "fetch":
        name = names[0] if names else "clip-sac"
        for weights in [] if options.quiet else store.named(WEIGHTS, name):
            complain(f"{weights.name}: {weights.size / 1e6:,.0f} MB, licence {weights.license}")
        with download_bar(hide=options.quiet) as progress:
            for path in store.fetch(WEIGHTS, name, progress=progress):
                print(path)
        return 0
    rows = store.check(WEIGHTS) if verb == "check" else store.status(WEIGHTS)
    for row in rows:
        print(_line(row))
    return 2 if any(row.verified is False for row in rows) else 0


def _line(row: store.Status) -> str:
    if row.path is None:
        state = "absent"
    else:
        state = {True: "verified", False: "WRONG DIGEST", None: "not verified yet"}[row.verified]
        state = f"{state}, {row.path}"
    users = ", ".join(row.users) or "no predictor"
    return f"{row.name}: {row.size / 2**20:,.1f} MiB, {row.license}, for {users}\n    {state}"
