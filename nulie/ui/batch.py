"""Several photos: a search for each, or one recipe for all. The tab, and its handlers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from ..drawing import table
from ..errors import ImageError, NulieError, RecipeError
from ..jobs.events import Event
from ..jobs.file import pack
from ..jobs.inputs import Item, is_film, pictures
from ..jobs.names import safe_name
from ..jobs.plan import plan
from ..recipe import Recipe
from . import words
from .compat import link, quiet, uploads
from .filming import ALL, LOOK, MAKE, FilmLook, only_film, result, shown
from .host import FORMATS, Host, form
from .options import NOT_RESTORED, Options
from .running import INTERVAL, BatchRun
from .session import Session, Sessions
from .views import Updates, buttons, part

SEARCH, APPLY = "search for each photo", "one recipe for all"


@dataclass(eq=False)
class Batch:
    """Handlers give updates by component."""

    host: Host
    state: Any
    visitor: Any
    sessions: Sessions
    options: Options

    def build(self) -> None:
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                self._build_input()
            with gr.Column(scale=2, min_width=340):
                self.status = gr.HTML(words.status(""), elem_id="nulie_batch_status")
                self.table = gr.HTML("", elem_id="nulie_batch_table")

    def _build_input(self) -> None:
        self.files = gr.File(
            label="Photos, or a video", file_count="multiple", height=160,
            elem_id="nulie_batch_files",
        )  # fmt: skip
        self.folder = gr.Textbox(
            label="Or a folder on the server", elem_id="nulie_batch_folder",
            visible=self.host.folders,
        )  # fmt: skip
        self.what = gr.Radio(
            choices=[SEARCH, APPLY], value=SEARCH, label="What to do", elem_id="nulie_batch_what",
            info="Mode, seconds for each photo, guards, predictor and operations are those of the"
            " Photo tab.",
        )  # fmt: skip
        self.recipe = gr.Textbox(
            label="Recipe for all (JSON; empty: the one on the Photo tab)",
            elem_id="nulie_batch_recipe", lines=2, visible=False,
        )  # fmt: skip
        self.format = gr.Dropdown(
            choices=list(FORMATS), value=self.host.format, label="Format of all",
            elem_id="nulie_batch_format",
        )  # fmt: skip
        self.quality = gr.Number(
            value=0, precision=0, label="Quality (0: as the photo)", elem_id="nulie_batch_quality"
        )
        with gr.Row():
            self.run = gr.Button(ALL, variant="primary", elem_id="nulie_batch_run")
            self.stop = gr.Button(
                "Stop", variant="stop", elem_id="nulie_batch_stop", interactive=False
            )

    def connect(self) -> None:
        asked = [self.files, self.folder, self.what, self.recipe, self.format, self.quality]
        inputs = [self.state, *asked, *self.options.inputs]
        mine = [self.state, self.visitor]
        changed = [*mine, self.status, self.table, self.run, self.stop]
        self.run.click(self._on_run, inputs, changed, **quiet(many=True))
        self.files.change(self._on_files, [*mine, self.files], [*mine, self.run], **quiet())
        self.stop.click(self._on_stop, [self.state], None, **quiet(queue=False))
        self.what.input(self._on_what, [self.what], [self.recipe], **quiet(queue=False))

    def _on_what(self, what: str) -> Any:
        return gr.update(visible=what == APPLY)

    def _on_files(self, session: Session | None, _: Any, files: Any) -> Updates:
        """Other files: what was seen of a video is none of theirs."""
        session = self.sessions.find(session)
        film = only_film([Item(path, name=name) for path, name in uploads(files)])
        if session.film is not None:
            session.film.stop(drop=True)
        session.film = None
        named = gr.update(value=LOOK if film else ALL)
        return {self.state: session, self.visitor: words.visitor(session), self.run: named}

    def _on_stop(self, session: Session | None) -> None:
        for run in (session.batch, session.film) if session is not None else ():
            if run is not None:
                run.stop()

    def _on_run(
        self, session: Session | None, files: Any, folder: str, what: str, recipe: str,
        format: str, quality: float, *values: Any,
    ) -> Iterator[Updates]:  # fmt: skip
        session = self.sessions.find(session)
        mine = {self.state: session, self.visitor: words.visitor(session)}
        try:
            items = self._items(files, folder)
            given = {**self.options.values(values), **form(format, quality), "top": 1}
            if what == APPLY:
                given.update(recipe=recipe.strip() or session.recipe.to_json(), judge_recipe=True)
                given.update(NOT_RESTORED)  # a recipe says that itself
            film, look = only_film(items), session.film
            if film is not None and what == SEARCH and (look is None or look.film is None):
                yield from self._look(session, film, given, mine)
                return
            if film is not None and what == SEARCH and look is not None:
                given.update(recipe=look.recipe(), **NOT_RESTORED)
            run = self._begin(session, items, given)
        except NulieError as e:
            yield {**mine, self.status: words.error(str(e))}
            return
        try:
            busy = buttons(self.run, self.stop, busy=True)
            yield {**mine, **busy}
            yield from self._watch(run)
        finally:
            if not run.over:  # the page was closed
                run.stop(drop=True)
            session.batch = None
        yield self._end(run)

    def _look(
        self, session: Session, item: Item, given: dict[str, Any], mine: Updates
    ) -> Iterator[Updates]:
        """The shots of a video, before the whole is made. Raises: NulieError."""
        run = FilmLook(item, plan(given), self.host.work)
        with session.lock:
            if session.film is not None or session.batch is not None:
                raise ImageError("a video of yours is under way; stop it first")
            session.film = run
        run.start()
        try:
            yield {**mine, self.table: "", **buttons(self.run, self.stop, busy=True)}
            while not run.wait(INTERVAL):
                event = run.latest()
                if event is not None:
                    self.host.progress(event.share, f"nulie: {event.words}", None)
                    yield {self.status: words.status(event.words, share=event.share)}
        finally:
            if not run.over:  # the page was closed
                run.stop(drop=True)
            if run.film is None and session.film is run:
                session.film = None
        ended = buttons(self.run, self.stop, busy=False)
        said = words.error(run.error) if run.error else words.status("Stopped; nothing was made.")
        if run.film is not None:
            said = words.status("These are its shots, before and after.")
            ended[self.run] = gr.update(value=MAKE, interactive=True)
        yield {**ended, self.status: said, self.table: shown(run)}

    def _items(self, files: Any, folder: str) -> list[Item]:
        items = [Item(path, name=safe_name(name)) for path, name in uploads(files)]
        if self.host.folders and (folder or "").strip():
            items += pictures(Path(folder.strip()).expanduser())
        if not items:
            raise ImageError("no photos yet; drop some first")
        return items

    def _begin(self, session: Session, items: list[Item], given: dict[str, Any]) -> BatchRun:
        """Raises: NulieError when what is asked for has no meaning, or a batch is under way."""
        wanted = plan(given, files=len(items))
        if wanted.recipe == Recipe() and not wanted.shots:
            raise RecipeError("no recipe yet; write one here, or make one on the Photo tab")
        with session.lock:
            if session.batch is not None:
                raise ImageError("a batch of yours is under way; stop it first")
            folder = self.host.new_folder(session.folder, "batch")
            wanted = replace(wanted, results=replace(wanted.results, output_dir=folder))
            run = session.batch = BatchRun(items, wanted, self.host.work, self.host.saved)
        run.start()
        return run

    def _watch(self, run: BatchRun) -> Iterator[Updates]:
        last = ""
        over = False
        while not over:
            updates: Updates = {}
            rows = table(run.rows)
            if rows != last:
                updates[self.table] = last = rows
            event = run.latest()
            if event is not None:
                updates[self.status] = self._stand(run, event)
            if updates:
                yield updates
            over = run.wait(INTERVAL)

    def _stand(self, run: BatchRun, event: Event) -> str:
        """How the batch stands. Tells the host as well."""
        begun = run.begun
        assert begun is not None, "it is the first event"
        share = (begun.number - 1 + event.share) / begun.count
        self.host.progress(share, f"nulie: {begun.item.file_name}", None)
        text = begun.words if event is begun else f"{begun.words}: {event.words}"
        return words.status(text, share=share)

    def _end(self, run: BatchRun) -> Updates:
        if run.error:
            run.settle(run.error)
        stopped = ", then stopped" if run.cancel.is_set() else ""
        kind = "files" if any(is_film(Path(row.name)) for row in run.rows) else "photos"
        text = f"{len(run.written)} of {len(run.rows)} {kind} done{stopped}"
        updates = {
            self.status: words.error(run.error) if run.error else words.status(text),
            self.table: table(run.rows),
            **buttons(self.run, self.stop, busy=False),
        }
        if (film := result(run)) is not None:
            updates[self.status] += part("nulie_batch_zip", film)
            return updates
        if run.written:
            try:
                archive = pack(run.written)
            except ImageError as e:
                return {**updates, self.status: words.error(f"{e}; {text}")}
            self.host.saved(archive)
            named = f"Download all as {archive.name}"
            offered = f"<p>{link(archive, named, style='nulie-download')}</p>"
            updates[self.status] += part("nulie_batch_zip", offered)
        return updates
