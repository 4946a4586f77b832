"""Several photos: a search for each, or one recipe for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from ..drawing import table
from ..errors import ImageError, NulieError, RecipeError
from ..jobs.archive import pack
from ..jobs.events import Event
from ..jobs.inputs import Item, pictures
from ..jobs.names import safe_name
from ..jobs.plan import Plan, plan
from ..recipe import Recipe
from . import saving, words
from .batch_run import BatchRun
from .batch_tab import APPLY, BatchTab
from .compat import link, quiet, uploads
from .host import Host
from .options import Options
from .session import Session, Sessions
from .views import Updates

INTERVAL = 0.25
"""Seconds between two live updates."""


class Batch:
    """Handlers of the tab of several photos, each of which gives updates by component."""

    def __init__(
        self, host: Host, state: Any, sessions: Sessions, options: Options, tab: BatchTab
    ) -> None:
        self._host = host
        self._state = state
        self._sessions = sessions
        self._options = options
        self._tab = tab

    def connect(self) -> None:
        tab = self._tab
        tab.run.click(
            self._on_run,
            [
                *(self._state, tab.files, tab.folder, tab.what, tab.recipe),
                *(tab.format, tab.quality, *self._options.inputs),
            ],
            [self._state, tab.status, tab.table, tab.zip, tab.run, tab.stop],
            **quiet(many=True),
        )
        tab.stop.click(self._on_stop, [self._state], None, **quiet(queue=False))
        tab.what.input(
            lambda what: gr.update(visible=what == APPLY),
            [tab.what],
            [tab.recipe],
            **quiet(queue=False),
        )

    def _on_stop(self, session: Session | None) -> None:
        if session is not None and session.batch is not None:
            session.batch.stop()

    def _on_run(
        self,
        session: Session | None,
        files: Any,
        folder: str,
        what: str,
        recipe: str,
        format: str,
        quality: float,
        *values: Any,
    ) -> Iterator[Updates]:
        session = self._sessions.touch(session)
        try:
            items = self._items(files, folder)
            given = {**self._options.values(values), **saving.values(format, quality), "top": 1}
            if what == APPLY:
                given.update(recipe=recipe.strip() or session.recipe.to_json(), judge_recipe=True)
            run = self._begin(session, items, given)
        except NulieError as e:
            yield {self._state: session, self._tab.status: words.error(str(e))}
            return
        try:
            yield {self._state: session, self._tab.zip: "", **self._buttons(busy=True)}
            yield from self._watch(run)
        finally:
            if not run.over:  # the page was closed
                run.stop(drop=True)
            session.batch = None
        yield self._end(run)

    def _items(self, files: Any, folder: str) -> list[Item]:
        items = [Item(path, name=safe_name(name)) for path, name in uploads(files)]
        if self._host.folders and (folder or "").strip():
            items += pictures(Path(folder.strip()).expanduser())
        if not items:
            raise ImageError("no photos yet; drop some first")
        return items

    def _begin(self, session: Session, items: list[Item], given: dict[str, Any]) -> BatchRun:
        """Raises: NulieError when what is asked for has no meaning, or a batch is under way."""
        wanted = plan(given, files=len(items))
        if wanted.recipe == Recipe():
            raise RecipeError("no recipe yet; write one here, or make one on the Photo tab")
        with session.lock:
            if session.batch is not None:
                raise ImageError("a batch of yours is under way; stop it first")
            into = saving.new_folder(self._host, session, "batch")
            run = BatchRun(items, _into(wanted, into), self._host.work, self._host.saved)
            session.batch = run
        run.start()
        return run

    def _watch(self, run: BatchRun) -> Iterator[Updates]:
        """Live updates, a few a second, until the batch is over."""
        last = ""
        over = False
        while not over:
            updates: Updates = {}
            rows = table(run.rows)
            if rows != last:
                updates[self._tab.table] = last = rows
            event = run.latest()
            if event is not None:
                updates[self._tab.status] = self._stand(run, event)
            if updates:
                yield updates
            over = run.wait(INTERVAL)

    def _stand(self, run: BatchRun, event: Event) -> str:
        """How the batch stands. Tells the host as well."""
        begun = run.begun
        assert begun is not None, "it is the first event"
        share = (begun.number - 1 + event.share) / begun.count
        self._host.progress(share, f"nulie: {begun.item.file_name}", None)
        text = begun.words if event is begun else f"{begun.words}: {event.words}"
        return words.status(text, share=share, token=run.token)

    def _end(self, run: BatchRun) -> Updates:
        tab = self._tab
        if run.error:
            run.settle(run.error)
        stopped = ", then stopped" if run.stopping else ""
        text = f"{len(run.written)} of {len(run.rows)} photos done{stopped}"
        updates = {
            tab.status: words.error(run.error) if run.error else words.status(text),
            tab.table: table(run.rows),
            **self._buttons(busy=False),
        }
        if run.written:
            try:
                archive = pack(run.written)
            except ImageError as e:
                updates[tab.status] = words.error(f"{e}; {text}")
            else:
                self._host.saved(archive)
                named = f"Download all as {archive.name}"
                updates[tab.zip] = f"<p>{link(archive, named, style='nulie-download')}</p>"
        return updates

    def _buttons(self, *, busy: bool) -> Updates:
        return {
            self._tab.run: gr.update(interactive=not busy),
            self._tab.stop: gr.update(interactive=busy),
        }


def _into(wanted: Plan, folder: Path) -> Plan:
    return replace(wanted, results=replace(wanted.results, output_dir=folder))
