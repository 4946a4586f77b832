"""A library: scored into a grid that `library.js` draws, its best enhanced, exported. The tab, and
the handler behind all of its buttons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import ImageError, NulieError
from ..image_io import shown_path
from ..jobs.file import pack
from ..jobs.inputs import SUFFIXES, Item, items
from ..jobs.job import Job
from ..jobs.names import safe_name
from ..jobs.plan import plan
from ..jobs.tally import with_standing
from ..library import shelf as shelves
from ..library.shelf import Shelf
from . import scripts, words
from .compat import HIDDEN, link, quiet, script, uploads
from .host import Host, form
from .options import Options
from .running import INTERVAL, Events, ShelfRun
from .session import Session, Sessions
from .views import Updates


@dataclass(eq=False)
class Library:
    """Handlers give updates by component."""

    host: Host
    state: Any
    visitor: Any
    sessions: Sessions
    options: Options

    def build(self) -> None:
        self.files = gr.File(
            label="Pictures to score", file_count="multiple", elem_id="nulie_library_files",
            height=140,
        )  # fmt: skip
        self.status = gr.HTML(words.status(""), elem_id="nulie_library_status")
        gr.HTML(scripts.library(folders=self.host.folders), elem_id="nulie_library")
        # The buttons that are seen are the script's, and press this one.
        self.go = gr.Button("nulie go", elem_id="nulie_library_go", visible=HIDDEN)

    def connect(self) -> None:
        mine = [self.state, self.visitor]
        inputs = [*mine, self.files, *self.options.inputs]
        asked = script(scripts.given(scripts.ASKED, len(inputs)))
        self.go.click(self._on_go, inputs, [*mine, self.status], **asked, **quiet(many=True))

    def _on_go(
        self, session: Session | None, asked: str, files: Any, *values: Any
    ) -> Iterator[Updates]:
        session = self.sessions.find(session)
        mine = {self.state: session, self.visitor: words.visitor(session)}
        try:
            run = self._begin(session, _read(asked), files, values)
        except NulieError as e:
            yield {**mine, self.status: words.error(str(e)) + self._shelf(session)}
            return
        try:
            yield {**mine, self.status: self._stand(session, run)}
            while not run.wait(INTERVAL):
                run.latest()  # somebody looks at it
                self.host.progress(run.share, f"nulie: {run.words}", None)
                yield {self.status: self._stand(session, run)}
        finally:
            if not run.over:  # the page was closed
                run.stop(drop=True)
            session.work = None
        yield {self.status: self._end(session, run)}

    # What is asked for.

    def _begin(
        self, session: Session, asked: Mapping[str, Any], files: Any, values: tuple[Any, ...]
    ) -> ShelfRun:
        """Raises: NulieError."""
        what = asked.get("do")
        if what == "score":
            run = self._score(session, asked, files, values)
        elif session.shelf is None:
            raise ImageError("no library yet; score some pictures first")
        elif what == "enhance":
            run = self._enhance(session, session.shelf, asked, values)
        elif what == "mark":
            run = self._mark(session.shelf, asked)
        else:
            run = _fold(session.shelf)
        with session.lock:
            if session.work is not None:
                raise ImageError("something is under way in your library; stop it first")
            session.work = run
        run.start()
        return run

    def _score(
        self, session: Session, asked: Mapping[str, Any], files: Any, values: tuple[Any, ...]
    ) -> ShelfRun:
        if session.work is not None:
            raise ImageError("something is under way in your library; stop it first")
        given = self.options.values(values)
        choice = plan({name: given[name] for name in ("predictor", "device")}).choice
        folder = str(asked.get("folder") or "").strip() if self.host.folders else ""
        found = [Item(path, name=safe_name(name)) for path, name in uploads(files)]
        if not folder and not found:
            raise ImageError("no pictures yet; drop some first")
        for item in found:
            self.host.work.check(item.path, item.shown)
        place = Path(folder).expanduser()
        if folder and place.is_file() and place.suffix.lower() not in SUFFIXES:
            shelf = session.shelf = Shelf(place)
            return ShelfRun("opening the library", lambda run: _open(run, shelf))
        if folder and not place.exists():
            raise ImageError(f"{shown_path(place)}: is no folder, and no library; check its name")
        if folder:
            found += items([str(place)], recursive=True)
            shelf = Shelf(shelves.kept_at(place))
        else:
            shelf = Shelf()
        session.shelf = shelf

        def score(run: ShelfRun) -> Events:
            yield from shelves.fill(shelf, found, choice, self.host.work)
            run.end = _scored(shelf)

        return ShelfRun("looking at the pictures", score)

    def _enhance(
        self, session: Session, shelf: Shelf, asked: Mapping[str, Any], values: tuple[Any, ...]
    ) -> ShelfRun:
        chosen = [row.item for row in shelf.asked(asked) if row.score is not None]
        given = {**self.options.values(values), **form(self.host.format, 0), "top": 1}
        wanted = plan(given, files=len(chosen))
        folder = self.host.new_folder(session.folder, "library")
        wanted = replace(wanted, results=replace(wanted.results, output_dir=folder))

        def enhance(run: ShelfRun) -> Events:
            try:
                job = Job(chosen, wanted, self.host.work, cancel=run.cancel)
                yield from with_standing(job.events(), len(chosen))
            finally:
                with suppress(OSError):  # it is not empty
                    folder.rmdir()
            run.end = f"{len(run.written):,} of {len(chosen):,} pictures enhanced"
            if run.written and self.host.folders:
                run.end += f"; they are in {folder}"

        return ShelfRun("beginning", enhance, whole=False, saved=self.host.saved)

    def _mark(self, shelf: Shelf, asked: Mapping[str, Any]) -> ShelfRun:
        def mark(run: ShelfRun) -> Events:
            yield from shelves.write_marks(shelf, asked)
            run.end = f"sidecars written; {run.words}"

        return ShelfRun("writing sidecars", mark)

    # What is shown.

    def _stand(self, session: Session, run: ShelfRun) -> str:
        shown = words.status(run.words, share=run.share, note=" ".join(run.notes))
        return shown + words.failures(run.failures) + self._shelf(session, busy=True)

    def _end(self, session: Session, run: ShelfRun) -> str:
        if run.error:
            shown = words.error(run.error)
        else:
            stopped = "stopped; " if run.cancel.is_set() else ""
            shown = words.status(stopped + (run.end or run.words), note=" ".join(run.notes))
        shown += words.failures(run.failures)
        # Where nobody can look into the folder.
        if run.written and not self.host.folders:
            try:
                archive = pack(run.written)
            except ImageError as e:
                return words.error(f"{e}; {run.end}") + self._shelf(session)
            self.host.saved(archive)
            named = link(archive, f"Download all as {archive.name}", style="nulie-download")
            shown += f"<p>{named}</p>"
        return shown + self._shelf(session)

    def _shelf(self, session: Session, *, busy: bool = False) -> str:
        return words.shelf(session.shelf, busy=busy)


def _read(asked: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(asked)
    except (TypeError, ValueError):
        found = None
    return found if isinstance(found, dict) else {}


def _open(run: ShelfRun, shelf: Shelf) -> Events:
    shelves.show(shelf)
    run.end = _scored(shelf)
    yield from ()


def _fold(shelf: Shelf) -> ShelfRun:
    def fold(run: ShelfRun) -> Events:
        shelves.fold(shelf, run.tell)
        run.end = f"{shelf.folded:,} near-duplicates folded behind the best of each group"
        yield from ()

    return ShelfRun("looking for near-duplicates", fold)


def _scored(shelf: Shelf) -> str:
    return f"{len(shelf.rows) - shelf.failed:,} scored, {shelf.failed:,} failed"
