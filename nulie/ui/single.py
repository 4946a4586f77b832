"""A single photo: drop it, search, choose a variant, change the recipe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .. import image_io
from ..drawing import curve, picture, terms_table
from ..errors import ImageError, NulieError
from ..jobs import file, recipes
from ..jobs.events import Searching
from ..jobs.inputs import Item
from ..jobs.names import safe_name
from ..jobs.plan import plan
from ..recipe import Recipe
from . import scripts, views, words
from .compat import forget, quiet, script, uploads
from .host import Host
from .opened import Opened
from .options import Options
from .photo_tab import PhotoTab
from .running import INTERVAL, Search
from .session import Session, Sessions
from .touchup import MOST_STEPS
from .views import Updates


@dataclass(eq=False)
class Single:
    """Handlers of the photo's tab, each of which gives updates by component."""

    host: Host
    state: Any
    sessions: Sessions
    options: Options
    tab: PhotoTab

    def connect(self) -> None:
        state, tab, many = self.state, self.tab, quiet(many=True)
        anew = [state, tab.saved, *tab.results]
        of_steps = [*tab.of_recipe, *tab.steps.outputs]
        tab.file.upload(self._on_file, [state, tab.file], [tab.file, *anew], **many)
        tab.again.click(self._on_again, [state], anew, **many)
        if self.host.targets:
            ticket = script(scripts.TICKET)
            tab.take.click(self._on_take, [state, tab.note], [tab.file, *anew], **ticket, **many)
        inputs = [state, *self.options.inputs]
        live = [state, tab.view, tab.status, tab.curve, tab.enhance, tab.stop]
        search = tab.enhance.click(self._on_enhance, inputs, live, **many)
        search.then(self._on_finish, [state], tab.results, **many)
        tab.stop.click(self._on_stop, [state], None, **quiet(queue=False))
        tab.variant.input(self._on_variant, [state, tab.variant], [tab.terms, *of_steps], **many)
        tab.steps.connect(state, self._turn, tab.of_recipe)
        tab.steps.reset.click(self._on_reset, [state], of_steps, **many)
        with_status = [tab.status, *of_steps]
        tab.apply.click(self._on_apply, [state, tab.recipe], with_status, **many)
        with_file = [tab.recipe_file, *with_status]
        tab.recipe_file.upload(self._on_recipe_file, [state, tab.recipe_file], with_file, **many)

    # A photo comes.

    def _on_file(self, session: Session | None, value: Any) -> Updates:
        session = self.sessions.touch(session)
        updates: Updates = {self.state: session, self.tab.file: gr.update(value=None)}
        files = uploads(value, once=True)
        if not files:
            return {**updates, **self._complain("the upload did not arrive; try it again")}
        path, name = files[0][0], safe_name(files[0][1])
        try:
            photo = file.read(Item(path, name=name), self.host.work)
            opened = Opened.of(photo, name, self.host.jobs.models)
        except NulieError as e:
            return {**updates, **self._complain(e)}
        finally:
            forget(path)
        return {**updates, **self._open(session, opened)}

    def _on_take(self, session: Session | None, ticket: str) -> Updates:
        """A picture that comes from the page around."""
        session = self.sessions.touch(session)
        try:
            data = self.host.take(ticket)
            if data is None:
                raise ImageError("the picture did not arrive; send it again")
            photo = image_io.load(io.BytesIO(data), name="the picture")
            opened = Opened.of(photo, "picture.png", self.host.jobs.models)
        except NulieError as e:
            return {self.state: session, **self._complain(e)}
        return {self.state: session, **self._open(session, opened)}

    def _on_again(self, session: Session | None) -> Updates:
        """The result is the photo from now on."""
        session = session or Session()
        try:
            opened = session.need()
        except ImageError as e:
            return self._complain(e)
        again = Opened.of(opened.result(session.recipe), opened.name, opened.models)
        return {self.state: session, **self._open(session, again)}

    def _open(self, session: Session, opened: Opened) -> Updates:
        session.clear()
        session.opened = opened
        return views.of_photo(self.tab, opened)

    # A search.

    def _on_enhance(self, session: Session | None, *values: Any) -> Iterator[Updates]:
        session = self.sessions.touch(session)
        try:
            opened = session.need()
            wanted = plan(self.options.values(values))
        except NulieError as e:
            yield {self.state: session, **self._complain(e)}
            return
        search = Search(opened, wanted, self.host.work)
        enhance, stop = self.tab.enhance, self.tab.stop
        with session.lock:
            busy = session.search is not None
            session.search = session.search or search
        if busy:
            yield {self.state: session}
            return
        session.finish = None
        search.start()
        try:
            yield {self.state: session, **views.buttons(enhance, stop, busy=True)}
            yield from self._watch(search)
        finally:
            # Also when the page was closed, which shows as GeneratorExit.
            search.stop(drop=search.finish is None)
            session.search = None
        end = views.buttons(enhance, stop, busy=False)
        if session.opened is opened:
            session.finish = search.finish
            if search.error:
                end.update(self._complain(search.error))
            elif search.finish is None:
                end[self.tab.status] = words.status("Stopped before anything was found.")
        yield end

    def _watch(self, search: Search) -> Iterator[Updates]:
        tab, opened = self.tab, search.opened
        last: Recipe | None = None
        told = False
        while not search.wait(INTERVAL if told else 0.05):
            event = search.latest()
            if event is None:
                break
            updates: Updates = {tab.status: words.progress(event, search.token, search.notes)}
            image = None
            text = event.words
            if isinstance(event, Searching):
                told = event.evaluations > 0
                text = f"{event.evaluations:,} nodes, best {event.best:.2f}"
                updates[tab.curve] = views.html(curve(search.climb, event.base, event.seconds))
                if event.recipe != last:
                    last = event.recipe
                    image = opened.look.picture(last)
                    shown = picture(opened.small(image), "best so far", size=opened.photo.size)
                    updates[tab.view] = shown
            self.host.progress(event.share, f"nulie: {text}", image)
            yield updates

    def _on_stop(self, session: Session | None) -> None:
        if session is not None and session.search is not None:
            session.search.stop()

    def _on_finish(self, session: Session | None) -> Updates:
        finish = session.finish if session else None
        if session is None or finish is None:
            return views.nothing(self.tab)
        session.recipe = session.full = finish.outcome.recipe
        return views.of_finish(self.tab, finish)

    # The recipe becomes another one.

    def _on_variant(self, session: Session | None, label: str) -> Iterator[Updates]:
        finish = session.finish if session else None
        result = finish.outcome.result if finish else None
        labels = views.variants(finish) if finish else []
        if session is None or finish is None or result is None or label not in labels:
            yield views.nothing(self.tab)
            return
        variant = result.variants[labels.index(label)]
        terms = {self.tab.terms: terms_table(result.base, variant.terms)}
        yield {**self._show(session, variant.recipe), **terms}
        yield views.still(self.tab, finish.opened, variant.recipe)

    def _on_reset(self, session: Session | None) -> Updates:
        return self._show(session, session.best() if session else Recipe())

    def _on_apply(self, session: Session | None, text: str) -> Updates:
        try:
            recipe = recipes.of_text(text or "")
            if len(recipe) > MOST_STEPS:
                most = f"and the page shows {MOST_STEPS} at most"
                raise ImageError(f"the recipe has {len(recipe)} steps, {most}")
        except NulieError as e:
            return self._complain(e)
        status = words.status("Recipe applied; save it when you like it.")
        return {self.tab.status: status, **self._show(session, recipe)}

    def _on_recipe_file(self, session: Session | None, value: Any) -> Updates:
        updates = {self.tab.recipe_file: gr.update(value=None)}
        for path, name in uploads(value, once=True):
            try:
                recipe = recipes.of_file(path, safe_name(name))
            except NulieError as e:
                return {**updates, **self._complain(e)}
            finally:
                forget(path)
            return {**updates, **self._on_apply(session, recipe.to_json())}
        return updates

    def _turn(self, session: Session | None, recipe: Recipe) -> Updates:
        """The recipe was changed by hand: look at it at once, on the small copy."""
        session = self.sessions.touch(session) if session else Session()
        try:
            opened = session.need()
        except ImageError as e:
            return {self.tab.words: views.html(words.error(str(e)))}
        session.recipe = session.full = recipe
        return views.of_recipe(self.tab, opened, recipe)

    def _show(self, session: Session | None, recipe: Recipe) -> Updates:
        """The recipe is another one as a whole."""
        return {**self._turn(session, recipe), **self.tab.steps.show(recipe)}

    def _complain(self, why: Exception | str) -> Updates:
        return {self.tab.status: words.error(str(why))}
