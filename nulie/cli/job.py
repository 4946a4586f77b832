"""`nulie job FILE`: how a job stands, and what has failed in it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import JobError, SettingsError
from ..image_io import shown_path
from ..jobs import journal
from ..jobs.events import Standing
from . import arguments
from .console import load_libraries
from .progress import Bar

DESCRIPTION = """\
Says how a job stands that was begun with `nulie LIBRARY --job FILE`: how many images are done, have
failed and are left, and why those that failed did. The same command as before goes on with it.
"""
EPILOG = """\
examples:
  nulie job better.job                  how it stands
  nulie job better.job --watch          the same, until it ends
  nulie job better.job --retry-failed   do what has failed once more
"""
LOOK = 1.0
"""Seconds between two looks at it."""


def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie job", "FILE [options]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="the file named with --job")
    add("--watch", action="store_true", help="go on showing it until it ends")
    add("--retry-failed", action="store_true", help="do what has failed, and what is left")
    add("--workers", default="auto", metavar="N", help="with --retry-failed: auto, or a number")
    add("--quiet", action="store_true", help="print errors only")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "files")
    if len(options.files) != 1:
        raise SettingsError("name one job, FILE; see nulie job --help")
    if options.watch and options.retry_failed:
        raise SettingsError("--watch shows a job, --retry-failed works on it; choose one")
    path = Path(options.files[0])
    if options.retry_failed:
        return _retry(path, options.workers, quiet=options.quiet)
    with journal.look(path) as job:
        state = job.state()
        if options.watch:
            state = _watch(job)
        if not options.quiet:
            print(_standing(state).words + (", at work" if state.running else ""))
            for row in job.failures():
                print(f"  {row.state}: {row.text or shown_path(row.path)}")
    return 1 if state.failed else 0


def _watch(job: journal.Journal) -> journal.State:
    bar = Bar(hide=False)
    try:
        while True:
            state = job.state()
            bar.stand(_standing(state))
            if not state.running:
                return state
            time.sleep(LOOK)
    finally:
        bar.close()


def _standing(state: journal.State) -> Standing:
    rate = state.rate if state.running else 0.0
    return Standing(state.counts.get(journal.DONE, 0), state.failed, state.left, rate)


def _retry(path: Path, workers: str, *, quiet: bool) -> int:
    with load_libraries():
        from ..jobs.host import Host
        from ..jobs.parallel import resumed
    path = path.absolute()
    with journal.look(path) as job:
        told = job.kept("told")
        items = job.items()
    if told is None:
        raise JobError(f"{shown_path(path)}: the job has not begun; begin it with --job")
    os.chdir(told.pop("folder"))  # which names in it begin at
    from .enhance import Show, film

    made = resumed(items, told, Host(film=film), workers=workers, journal=path)
    return Show(made, as_json=False, quiet=quiet).run()
