"""What becomes of a result: saved, shown in its folder, sent to the page around."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ..drawing import history
from ..errors import ImageError, NulieError
from ..image_io import to_image
from ..jobs import file, names
from ..jobs.outcome import file_text
from ..jobs.plan import plan
from ..recipe import Recipe
from ..transforms import describe
from . import scripts, views, words
from .compat import link, quiet, script
from .host import Host, form
from .photo_tab import PhotoTab
from .session import Session
from .views import Updates

HISTORY = 30
"""Files of a visitor's that are listed."""


@dataclass(eq=False)
class Keeping:
    """Handlers of the photo's tab, each of which gives updates by component."""

    host: Host
    state: Any
    tab: PhotoTab

    def connect(self) -> None:
        state, tab, many = self.state, self.tab, quiet(many=True)
        changed = [tab.status, tab.saved, tab.history]
        tab.save.click(self._on_save, [state, tab.format, tab.quality], changed, **many)
        if self.host.open_folder:
            tab.open.click(self._on_open, [state], [tab.status], **many)
        if self.host.targets:
            for target, button in tab.send.items():
                send = partial(self._on_send, target)
                button.click(send, [state], [tab.note, tab.status], **many)
            sent = script(scripts.SENT)
            tab.note.change(None, [tab.note], None, **sent, **quiet(queue=False))

    def _on_save(self, session: Session | None, format: str, quality: float) -> Iterator[Updates]:
        tab = self.tab
        try:
            session = session or Session()
            opened, recipe = session.need(idle=True), session.recipe
            yield {tab.status: words.shown(session, "Saving at full size.")}
            folder = self.host.folder(session.folder)
            results = plan({**form(format, quality), "output_dir": folder}).results
            photo = opened.result(recipe)
            target = names.target(Path(opened.name), folder, photo, results.suffix)
            path = file.write(photo, recipe, target, results, score=session.score(recipe))
        except NulieError as e:
            yield {tab.status: words.error(str(e))}
            return
        self.host.saved(path)
        entry = link(path, path.name), describe(recipe), opened.live(recipe)
        session.saved = [*session.saved, entry][-HISTORY:]
        updates: Updates = {tab.history: history(session.saved)}
        if session.opened is opened and session.recipe == recipe and session.search is None:
            size = words.size(path.stat().st_size)
            told = f"Saved {path.name}, {size}, with its metadata."
            named = link(path, f"Download {path.name}", style="nulie-download")
            updates |= {tab.status: words.shown(session, told), tab.saved: views.html(named)}
        yield updates

    def _on_open(self, session: Session | None) -> Updates:
        assert self.host.open_folder is not None
        folder = self.host.folder((session or Session()).folder)
        try:
            if not folder.is_dir():
                folder = self.host.results_folder()
                folder.mkdir(parents=True, exist_ok=True)
            self.host.open_folder(folder)
        except OSError as e:
            text = f"{folder}: cannot be opened ({e.strerror or e})"
            return {self.tab.status: words.error(text)}
        return {self.tab.status: words.status(f"The results are in {folder}.")}

    def _on_send(self, target: str, session: Session | None) -> Updates:
        """The result, or the photo as it is, for the page around. The note says whether there is a
        text with it."""
        tab = self.tab
        try:
            session = session or Session()
            opened, recipe = session.need(idle=True), session.recipe
        except ImageError as e:
            return {tab.note: "", tab.status: words.error(str(e))}
        photo = opened.result(recipe)
        image = to_image(photo, photo.pixels, text={} if recipe == Recipe() else file_text(recipe))
        # Extras has no controls that a text could set.
        text = "" if target == "extras" else photo.metadata.text.get("parameters", "")
        ticket = self.host.give(image, text)
        return {
            tab.note: json.dumps({"target": target, "ticket": ticket, "text": bool(text)}),
            tab.status: gr.update(),
        }
