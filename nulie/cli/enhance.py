"""`nulie IMAGE...`: search for a better version of each image or video, or apply a recipe."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import SettingsError
from ..image_io import reason, shown_path
from ..jobs import events
from ..jobs.inputs import Item, is_film, of_stream
from ..recipe import Settings
from . import arguments, console
from .console import complain, load_libraries
from .progress import Bar, Download, download_bar

if TYPE_CHECKING:
    from ..jobs.job import Job
    from ..jobs.outcome import Outcome
    from ..jobs.parallel import ParallelJob
    from ..jobs.video import Film

DESCRIPTION = "Makes images and videos more pleasing by searching chains of simple operations."
EPILOG = """\
examples:
  nulie photo.jpg                                   ten seconds, gentle changes
  nulie photo.jpg --mode hard --seconds 30          drastic changes, too
  nulie holiday/ --recursive --output-dir better/   a whole folder, on all cores
  nulie photos/ --recursive --output-dir better/ --job better.job     goes on after a power cut
  nulie photo.jpg --ops brightness,contrast --range brightness=0.8:1.2
  nulie photo.jpg --like sunset.jpg                 in the colours of another picture
  nulie small.jpg --repair --denoise --upscale 2    restored, searched, enlarged
  nulie old.jpg --colorize --hint 120,80=#7a2230    colours for black and white
  nulie photo.jpg --save-recipe look.json; nulie other.jpg --recipe look.json
  curl -s https://... | nulie - --format jpg > better.jpg
  nulie clip.mp4                                    a video, shot by shot

The result is written beside the input as photo_nulie.jpg, with all metadata and the recipe in it.
The input is never written to. Ctrl-C, or the signals TERM and HUP, end the search and keep the
best so far. After -- all are files: nulie -- -dash.jpg, or nulie ./-dash.jpg. In folders hidden
files are passed over, and images whose results are there.

other commands (each has a --help of its own):
  nulie ui              the same as a page in the browser, with live view and touch-up
  nulie score IMAGE...  what a predictor says of images as they are, of whole libraries
  nulie duplicates DIR  pictures of a library that look alike
  nulie job FILE        how a job stands: done, failed, left
  nulie weights         files of the predictors: list, fetch, check
  nulie tree FILE       what a search tried, from its checkpoint
  nulie match A B       the recipe that turns one picture into the other
  nulie train KIND DIR  train a network that restores for pictures of your own
  nulie fit FOLDER      fit the embedded predictor to your own best photos

exit codes: 0 all done, 1 some images failed, or something beside them could not be written, 2
nothing was done, 130 stopped by Ctrl-C before all was done
"""


NAMED = 20


# fmt: off
def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie", "IMAGE... [options]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--version", action="version", version=f"nulie {__version__}",
        help="print the version; end")
    add("--list-ops", action="store_true", help="print the ops, their ranges; end")
    add("images", nargs="*", metavar="IMAGE",
        help="file, folder or pattern; -: read from stdin, the result goes to stdout")
    add = parser.add_argument_group("where results go").add_argument
    add("-o", "--output", type=Path, metavar="FILE", help="result of a single image; -: stdout")
    add("--output-dir", type=Path, metavar="DIR", help="folder for the results")
    add("--format", dest="suffix", metavar="png|jpg|...",
        help="format of the results: png, jpg, webp, tif, bmp, avif (default: as the input)")
    add("--overwrite", action="store_true", help="replace results that are there")
    add("--skip-existing", action="store_true",
        help="pass over images whose results are there; in folders, results of nulie's always are")
    add("--keep-dates", action="store_true", help="give results the dates of their inputs")
    add("--dry-run", action="store_true", help="say what would be read and written; end")
    arguments.add_folders(add)
    add("--quality", type=int, metavar="1..100", help="for JPEG, WebP and AVIF")
    add = parser.add_argument_group("many images").add_argument
    add("--workers", default="auto", metavar="N",
        help="processes to spread many images over: auto (default: one a core or GPU) or a number")
    add("--job", dest="journal", type=Path, metavar="FILE",
        help="keep there what is done: after a power cut the same command goes on")
    add("--wait", type=float, default=3600.0, metavar="SECONDS",
        help="of a job: how long it waits for a full disk or a lost share (default 3600)")
    add = parser.add_argument_group("videos").add_argument
    add("--codec", metavar="NAME",
        help="h264, hevc, vp9, av1 or ffv1, which loses nothing (default: the video's own where"
        " that can be written, else h264)")
    add("--crf", type=int, metavar="0..63",
        help="quality, the lower the better (default: 18 for h264, 20 hevc, 24 vp9, 26 av1)")
    add("--keep-part", action="store_true",
        help="after Ctrl-C keep what is written so far, as clip_nulie_part.mp4 (default: nothing)")
    add = parser.add_argument_group("restoration").add_argument
    add("--repair", nargs="?", const="auto", metavar="QUALITY",
        help="take away the traces of JPEG: of that quality, 1..100, or as the photo needs it")
    add("--denoise", nargs="?", const="auto", metavar="LEVELS",
        help="take away noise: of that standard deviation, up to 75, or as the photo needs it")
    add("--scan", action="store_true",
        help="take away halftone, grain and dust of a scanned page")
    add("--colorize", "--colourize", nargs="?", const="auto", metavar="MODEL",
        help="guess colours for a black-and-white photo or video: by nulie's own model (default),"
        " by eccv16, siggraph17 or ddcolor, or by a file, such as one of nulie train color")
    add("--color-variant", metavar="plain|soft|vivid", help="how colourful it guesses them")
    add("--hint", action="append", metavar="X,Y=#RRGGBB",
        help="the colour of a point of the photo, in pixels or per cent; repeatable")
    add("--upscale", metavar="SIZE",
        help="make it larger after the search: 2, 1.5, 50%%, 4000x, x3000 or 4000x3000 (to fit)")
    add("--model", action="append", metavar="NAME|FILE",
        help="restore with this: a name (nulie weights lists them), or a file such as an"
        " ESRGAN's; repeatable")
    add("--restore-strength", type=float, default=1.0, metavar="0..1",
        help="how much of all that is done, but for the size (default 1)")
    add("--faithful", type=float, metavar="0..1",
        help="1: what makes it larger keeps to what is sure (default); 0: it looks sharper, and is"
        " less true")
    add("--no-search", action="store_false", dest="search", help="restore only")
    add = parser.add_argument_group("search").add_argument
    add("--mode", help="soft (default) or hard, with wider ranges and drastic ops, too")
    time = f"time for the search of each image (default {Settings.seconds:g})"
    arguments.add_budget(add, time, same="bytes")
    add("--patience", type=float, metavar="N",
        help="a search ends before its time when its best score has not risen for N times as long"
        " as it took to get there (default 1 with a target such as statistics or retouch; 0: not)")
    add("--ops", metavar="A,B", help="search with these only")
    add("--range", action="append", default=[], dest="ranges", metavar="NAME=LOW:HIGH",
        help="bounds of an op in the whole recipe, such as saturation=1.0:1.3 or gamma.gain=1:1;"
        " repeatable")
    add("--top", type=int, metavar="K", help="write K distinct variants, best first")
    add("--same", action="store_true",
        help="one recipe for all photos of a series, found on some of them; of a video, for all its"
        " shots")
    add = parser.add_argument_group("guards").add_argument
    # Whether one was given matters to --like, so the defaults are left to the plan.
    for option, least, share in (
        ("--min-light", "least mean light", Settings.min_light),
        ("--min-color", "least mean colourfulness", Settings.min_color),
        ("--min-contrast", "least spread of lightness", Settings.min_contrast),
    ):
        add(option, type=float, metavar="SHARE",
            help=f"{least}, as a share of the input's (default {share}; 0: off)")
    add("--keep-content", type=_points, nargs="?", const=10.0, metavar="POINTS",
        help="points lost per unit of drift from the input (default 0: off; 10 without a number)")
    add("--protect-skin", action=argparse.BooleanOptionalAction,
        help="do not let skin get darker")
    add = arguments.add_predictor(parser)
    add("--like", type=Path, metavar="IMAGE",
        help="in place of a predictor: make it look like this picture, in its colours and light;"
        " guards of light, colour, contrast and skin are off then unless they are given")
    add = parser.add_argument_group("recipes and reports").add_argument
    add("--recipe", type=Path, metavar="FILE", help="apply a recipe (JSON, or an image of nulie's)")
    add("--strength", type=float, default=1.0, metavar="0..1.5",
        help="turn what was found, or the recipe that is applied, down (below 1) or up, and write"
        " that (default 1)")
    add("--save-recipe", type=Path, metavar="FILE",
        help="write the best recipe, or those of a video's shots")
    add("--report", type=Path, metavar="FILE.html",
        help="write a page of its own: slider, score curve, tree, recipe; of a video, its shots")
    add("--checkpoint", type=Path, metavar="FILE",
        help="keep the state of a long search there, written every minute and at the end")
    add("--resume", type=Path, metavar="FILE",
        help="go on from a checkpoint, with its settings; --seconds and --evaluations count what"
        " it has spent already; of the search's other options --top and --patience may be others")
    add("--checkpoint-every", type=float, default=60.0, metavar="N",
        help="seconds in between (default 60)")
    add("--json", action="store_true", help="one line of JSON an image on stdout")
    add("--quiet", action="store_true", help="print errors only")
    return parser
# fmt: on


def main(argv: Sequence[str]) -> int:
    options = parser().parse(argv, "images")
    if options.list_ops:
        from .report import ops_table

        print(ops_table())
        return 0
    if not options.images:
        raise SettingsError("name an image, a folder or a pattern; see nulie --help")
    if "-" in options.images or str(options.output) == "-":
        return _piped(options)
    return _enhance(options, arguments.items(options, options.images, films=_films()))


def _piped(options: argparse.Namespace) -> int:
    """With `-` for stdin or stdout."""
    if "-" in options.images and len(options.images) > 1:
        raise SettingsError("- is one image, from stdin; name no other")
    to_stdout = str(options.output or "-") == "-" and options.output_dir is None
    if to_stdout and (options.json or (options.top or 1) > 1):
        raise SettingsError("one image goes to stdout and nothing else; leave out --json and --top")
    if to_stdout and (sys.stdout is None or sys.stdout.isatty()):
        raise SettingsError("a terminal shows no image; give --output FILE, or redirect stdout")
    with load_libraries():  # ends at once when it is interrupted: before there is a file
        import_module("..jobs.picture", __package__)
    with tempfile.TemporaryDirectory(prefix="nulie-") as folder:
        if "-" in options.images:
            items = [of_stream(getattr(sys.stdin, "buffer", None), Path(folder))]
        else:
            items = arguments.items(options, options.images, films=_films())
        if to_stdout and len(items) > 1:
            raise SettingsError(f"one image goes to stdout, and here are {len(items)}")
        if to_stdout:
            options.output, options.output_dir = None, Path(folder)
        return _enhance(options, items, to_stdout=to_stdout)


def _enhance(options: argparse.Namespace, items: list[Item], *, to_stdout: bool = False) -> int:
    values = arguments.values(options)
    plan = arguments.planned(values, len(items))
    with load_libraries():
        from ..jobs.host import Host
        from ..jobs.parallel import job
    made = job(
        items, plan, Host(draw=_report, film=film),
        workers=options.workers, journal=options.journal, told=values,
    )  # fmt: skip
    return Show(made, as_json=options.json, quiet=options.quiet, to_stdout=to_stdout).run()


def _films() -> bool:
    """Whether videos of folders are read."""
    return find_spec("av") is not None


def film(*given: Any, **named: Any) -> Generator[events.Event, None, bool]:
    with load_libraries():
        from ..video.film import process
    return (yield from process(*given, **named))


def _points(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"{text!r} is no number; write the number, or the option after the images"
        raise argparse.ArgumentTypeError(message) from None


def _report(outcome: Outcome | Film) -> str:
    from ..drawing import film_report, report
    from ..jobs.video import Film

    if isinstance(outcome, Film):
        return film_report(outcome)
    assert outcome.result is not None  # a report tells of a search
    return report(
        outcome.name, outcome.before, outcome.result, recipe=outcome.recipe,
        nodes=outcome.nodes, points=outcome.points, predictor=outcome.predictor,
    )  # fmt: skip


class Show:
    """Shows a job's events; its exit code is that of the command."""

    def __init__(
        self, job: Job | ParallelJob, *, as_json: bool, quiet: bool, to_stdout: bool = False
    ) -> None:
        self._job, self._json, self._quiet, self._to_stdout = job, as_json, quiet, to_stdout
        self._bar = Bar(hide=quiet)
        self._searching = self._written = self._unsaid = self._stopped = self._several = False
        self._filming = False
        self._held = ""
        self._number = 0

    def run(self) -> int:
        try:
            quiet = self._quiet
            cancel = self._job.cancel
            stop = console.stop_on_interrupt(
                cancel, quiet=quiet, able=lambda: self._searching, kept=self._kept
            )
            with download_bar(hide=quiet) as download, stop:
                for event in self._job.events():
                    if isinstance(event, events.Ended):
                        return self._end(event)
                    self._show(event, download)
        except KeyboardInterrupt:
            if self._several:
                complain("interrupted; what was written is whole")
                return console.INTERRUPTED
            return self._interrupted(self._job.items[self._number - 1 :])
        finally:
            self._bar.close()
        raise AssertionError("a job ends with Ended")

    def _kept(self) -> str:
        """What a first Ctrl-C leaves."""
        if self._job.plan.results.job:
            return "what is done is kept"
        if not is_film(self._job.items[self._number - 1].path):
            return "the best so far is kept"
        kept = self._job.plan.video.keep_part
        return "what is written is kept" if kept else "nothing is kept of this video"

    def _show(self, event: events.Event | events.Standing, download: Download) -> None:
        if isinstance(event, events.Standing):
            self._searching = self._several = True  # Ctrl-C ends it in an orderly way
            if not self._filming:
                self._bar.stand(event)
        elif isinstance(event, events.Begun):
            self._number = event.number
            self._bar.place = f"{event.number} of {event.count}, " if event.count > 1 else ""
        elif isinstance(event, events.Held):
            if event.text != self._held:
                self._bar.close()
                complain(f"waiting: {event.text}")
            self._held = event.text
        elif isinstance(event, events.Loading):
            if event.file:
                download(event.file, event.done, event.size)
            with load_libraries():
                import_module("..jobs.picture", __package__)
        elif isinstance(event, events.Restoring):
            self._searching = True  # Ctrl-C ends it in an orderly way
            self._bar.show(event)
        elif isinstance(event, events.Searching | events.Filming):
            self._searching = True
            self._filming = isinstance(event, events.Filming)
            self._bar.show(event)
        elif isinstance(event, events.Filmed):
            self._filmed(event)
        elif isinstance(event, events.Noted):
            self._say(event.text)
        elif isinstance(event, events.Done):
            self._done(event)
        elif isinstance(event, events.Planned):
            self._say(f"{event.item.shown} -> {', '.join(self._names(event.targets))}")
            self._print_json({"input": event.item.given, "output": [*map(str, event.targets)]})
        elif isinstance(event, events.Skipped):
            self._print_json({"input": event.item.given, "skipped": str(event.result)})
        elif isinstance(event, events.Amiss):
            self._over()
            complain(event.text)
        elif isinstance(event, events.Failed):
            self._over()
            complain(event.text)
            self._print_json({"input": event.item.given, "error": event.text})

    def _done(self, event: events.Done) -> None:
        from ..jobs.outcome import line
        from .report import words

        self._over()
        self._written = True
        wanted, saved = self._job.plan.settings.top, ", ".join(self._names(event.written))
        self._say(words(event.item.shown, event.outcome, saved, wanted))
        self._print_json(line(event.item.given, event.outcome, event.written))
        if self._to_stdout:
            with self._stdout():
                sys.stdout.buffer.write(event.written[0].read_bytes())
                sys.stdout.buffer.flush()

    def _filmed(self, event: events.Filmed) -> None:
        from ..jobs.video import line
        from .report import words_of_film

        self._over()
        self._written = True
        self._stopped = not event.film.whole
        saved = ", ".join(self._names(event.written))
        self._say(words_of_film(event.item.shown, event.film, saved))
        self._print_json(line(event.item.given, event.film, event.written))

    def _over(self) -> None:
        self._searching = self._several
        self._filming = False
        self._held = ""
        self._bar.close()

    def _end(self, ended: events.Ended) -> int:
        self._over()
        if self._several or ended.stopped:
            return self._end_of_several(ended)
        if self._job.cancel.is_set() and ended.left:
            if ended.left[0] is self._job.items[self._number - 1]:
                return self._interrupted(ended.left)
            complain(f"stopped; not looked at: {_names(ended.left)}")
            return console.INTERRUPTED
        if self._stopped:
            return console.INTERRUPTED
        return self._code(ended)

    def _end_of_several(self, ended: events.Ended) -> int:
        left = f"not done: {_names(ended.left)}"
        if ended.stopped:
            complain(f"given up: {ended.stopped}; {left}; the same command goes on")
            return 1
        if self._job.cancel.is_set() and ended.left:
            goes_on = "; the same command goes on" * bool(self._job.plan.results.job)
            some = ended.done or goes_on
            complain(f"stopped; {left}{goes_on}" if some else console.NOTHING_WRITTEN)
            return console.INTERRUPTED
        return self._code(ended)

    def _code(self, ended: events.Ended) -> int:
        count = len(self._job.items)
        failed = len(ended.failed) + ended.failed_before
        if ended.before:
            self._say(f"{ended.before:,} of {count:,} images were done before")
        if ended.skipped:
            there = "skipped, for their results are there; --overwrite makes them anew"
            self._say(f"{len(ended.skipped)} of {count} images {there}")
        if failed and count > 1:
            again = "; nulie job FILE --retry-failed does them again" * bool(ended.failed_before)
            complain(f"{failed} of {count} images failed{again}")
        if failed and failed == count:
            return 2
        return 1 if failed or ended.amiss or self._unsaid else 0

    def _interrupted(self, left: Sequence[Item]) -> int:
        some = f"interrupted; not done: {_names(left)}"
        complain(some if self._written else console.NOTHING_WRITTEN)
        return console.INTERRUPTED

    def _say(self, text: str) -> None:
        """To the person, on stderr where stdout is for a program that reads JSON or the image."""
        aside = self._json or self._to_stdout
        if not self._quiet and not (aside and sys.stderr is None):
            with self._stdout():
                print(text, file=sys.stderr if aside else sys.stdout, flush=True)

    def _print_json(self, line: dict[str, Any]) -> None:
        if self._json:
            with self._stdout():
                print(json.dumps(line), flush=True)

    @contextmanager
    def _stdout(self) -> Iterator[None]:
        """Around what writes there: where it fails the work goes on, but for a reader that went."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as e:
            self._unsaid = True
            complain(f"stdout: cannot be written ({reason(e)})")
            console.give_up_stdout()

    def _names(self, paths: Sequence[Path]) -> list[str]:
        return ["stdout"] if self._to_stdout else [*map(shown_path, paths)]


def _names(items: Sequence[Item]) -> str:
    names = [shown_path(item.path) for item in items[:NAMED]]
    more = [f"and {len(items) - NAMED:,} more"] if len(items) > NAMED else []
    return ", ".join(names + more)
