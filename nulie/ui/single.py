"""A single photo: drop it, search, choose a variant, change the recipe."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .. import image_io
from ..drawing import compare, curve, history, picture
from ..errors import ImageError, NulieError
from ..image_io import Photo
from ..jobs import file, recipes
from ..jobs.events import Searching
from ..jobs.inputs import Item
from ..jobs.names import safe_name
from ..jobs.plan import plan
from ..recipe import Recipe
from . import scripts, views, words
from .compat import MAJOR, forget, on, quiet, script, uploads
from .host import Host
from .opened import Opened
from .options import Options
from .photo_tab import PhotoTab
from .running import INTERVAL, Search
from .session import Session, Sessions
from .touchup import MOST_STEPS
from .views import Updates

Came = tuple[Photo, str, str]
"""A photo, its name, what is to be said of it."""
SETTLE = 0.3
"""Seconds without a change after which the picture itself takes the place of a quick look."""


@dataclass(eq=False)
class Single:
    """Handlers of the photo's tab, each of which gives updates by component."""

    host: Host
    state: Any
    visitor: Any
    sessions: Sessions
    options: Options
    tab: PhotoTab

    def connect(self, page: Any) -> None:
        state, tab, many = self.state, self.tab, quiet(many=True)
        anew = [state, self.visitor, *tab.results]
        of_steps = [*tab.of_recipe, *tab.steps.outputs]
        tab.file.upload(self._on_file, [state, tab.file], [tab.file, *anew], **many)
        tab.again.click(self._on_again, [state], anew, **many)
        brought = [tab.file, *anew, tab.history]
        ticket = script(scripts.TICKET)
        tab.take.click(self._on_take, [state, self.visitor], brought, **ticket, **many)
        inputs = [state, self.visitor, *self.options.inputs]
        changed = [tab.enhance, tab.stop, *anew]
        hinted = script(scripts.given(scripts.HINTED, len(inputs)))
        tab.enhance.click(self._on_enhance, inputs, changed, **hinted, **many)
        tab.stop.click(self._on_stop, [state], None, **quiet(queue=False))
        tab.variant.input(self._on_variant, [state, tab.variant], of_steps, **many)
        tab.steps.connect(state, self._turn, tab.of_recipe)
        tab.steps.reset.click(self._on_reset, [state], of_steps, **many)
        # A quick look is followed by the picture itself, once it has not changed for a moment.
        tab.view.change(self._on_settle, [state], [tab.view], **quiet(latest=True, many=True))
        tab.apply.click(self._on_apply, [state, tab.recipe], of_steps, **many)
        with_file = [tab.recipe_file, *of_steps]
        tab.recipe_file.upload(self._on_recipe_file, [state, tab.recipe_file], with_file, **many)
        # For a page that is loaded anew the browser keeps the settings, all but the file.
        kept = self.options.inputs[:-1]
        # In old gradio each event is a part of the page, and makes it heavier.
        events = [c.change for c in kept] if MAJOR >= 4 else [tab.enhance.click]
        on(events, None, kept, None, **script(scripts.KEEP), **quiet(queue=False))
        restored = script(scripts.KEPT.replace("COUNT", str(len(kept))))
        page.load(None, kept, kept, **restored, **quiet(queue=False))

    # A photo comes.

    def _on_file(self, session: Session | None, value: Any) -> Updates:
        files = uploads(value, once=True)

        def read(_: Session) -> Came:
            if not files:
                raise ImageError("the upload did not arrive; try it again")
            path, name = files[0][0], safe_name(files[0][1])
            others = f"Only {name} was opened: several photos are for the tab Batch."
            photo = file.read(Item(path, name=name), self.host.work)
            return photo, name, others if files[1:] else ""

        updates = self._open(session, read)
        for path, _ in files:
            forget(path)
        return {**updates, self.tab.file: gr.update(value=None)}

    def _on_take(self, session: Session | None, ticket: str) -> Updates:
        """A picture that comes from the page around; or all that was here before the page was
        loaded anew."""
        back = self.sessions.again(ticket)
        if back is not None:
            shown = views.everything(self.tab, back)
            return {**self._mine(back)[1], **shown, self.tab.history: history(back.saved)}

        def read(_: Session) -> Came:
            data = self.host.take(ticket)
            if data is None:
                raise ImageError("the picture is not here any more; drop it or send it again")
            return image_io.load(io.BytesIO(data), name="the picture"), "picture.png", ""

        return self._open(session, read)

    def _on_again(self, session: Session | None) -> Updates:
        """The result is the photo from now on."""

        def read(session: Session) -> Came:
            opened = session.need(idle=True)
            return opened.result(session.recipe), opened.name, ""

        return self._open(session, read)

    def _open(self, session: Session | None, read: Callable[[Session], Came]) -> Updates:
        session, mine = self._mine(session)
        try:
            photo, name, note = read(session)
            self.sessions.open(session, Opened.of(photo, name, self.host.device))
            mine[self.visitor] = words.visitor(session)
            return {**mine, **views.everything(self.tab, session, note)}
        except NulieError as e:
            return {**mine, **self._complain(e, session)}

    # A search.

    def _on_enhance(self, session: Session | None, hints: Any, *values: Any) -> Iterator[Updates]:
        """`hints` are texts of known colours, one behind another."""
        session, mine = self._mine(session)
        try:
            opened = session.need(idle=True)
            given = {**self.options.values(values), "hint": str(hints or "").split()}
            search = Search(opened, plan(given), self.host.work)
            with session.lock:
                session.need(idle=True)
                session.search = search
        except NulieError as e:
            yield {**mine, **self._complain(e, session)}
            return
        tab = self.tab
        search.start()
        try:
            busy = views.buttons(tab.enhance, tab.stop, busy=True)
            yield {**mine, **busy, **views.searching(tab)}
            yield from self._watch(session, search)
        finally:
            # Also when the page was closed, which shows as GeneratorExit.
            search.stop(drop=search.finish is None)
            still = session.opened is opened
            if still and search.finish:
                session.finish = search.finish
                session.recipe = session.full = session.best()
            if session.search is search:
                session.search = None
        # The last word is of the photo that is there now, whatever came in between.
        try:
            end = views.everything(tab, session)
        except ImageError as e:
            end = self._complain(e)
        end |= views.buttons(tab.enhance, tab.stop, busy=session.search is not None)
        if still and search.error:
            end.update(self._complain(search.error))
        elif still and search.finish is None:
            end[tab.status] = words.status("Stopped before anything was found.")
        yield end

    def _watch(self, session: Session, search: Search) -> Iterator[Updates]:
        tab, opened = self.tab, search.opened
        last: Recipe | None = None
        told = False
        while not search.wait(INTERVAL if told else 0.05) and session.search is search:
            event = search.latest()
            if event is None:
                break
            notes = " ".join(dict.fromkeys(search.notes))
            updates: Updates = {tab.status: words.progress(event, notes)}
            image = None
            text = event.words
            if isinstance(event, Searching):
                told = event.evaluations > 0
                text = f"{event.evaluations:,} nodes, best {event.best:.2f}"
                climb = curve(search.climb, event.base, event.seconds)
                updates[tab.course] = views.html(views.part("nulie_curve", climb))
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

    # The recipe becomes another one.

    def _on_variant(self, session: Session | None, label: str) -> Updates:
        finish = session.finish if session else None
        labels = views.variants(finish)
        if finish is None or label not in labels:
            return views.nothing(self.tab)
        shown = self._show(session, finish.outcome.recipes()[labels.index(label)])
        # What comes late may not choose for the user.
        return {box: update for box, update in shown.items() if box is not self.tab.variant}

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
        return self._show(session, recipe, "Recipe applied; save it when you like it.")

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

    def _turn(self, session: Session | None, recipe: Recipe, note: str = "") -> Updates:
        """The recipe was changed by hand: look at it at once, on the small copy."""
        session = session or Session()
        try:
            session.need(idle=True)
        except ImageError as e:
            return self._complain(e, session)
        session.recipe = session.full = recipe
        return views.of_recipe(self.tab, session, note)

    def _show(self, session: Session | None, recipe: Recipe, note: str = "") -> Updates:
        """The recipe is another one as a whole."""
        return {**self._turn(session, recipe, note), **self.tab.steps.show(recipe)}

    def _on_settle(self, session: Session | None) -> Updates:
        if session is None or session.opened is None or session.search is not None:
            return views.nothing(self.tab)
        opened, recipe = session.opened, session.recipe
        if session.settled == recipe:
            return views.nothing(self.tab)
        time.sleep(SETTLE)
        if session.recipe != recipe:  # there is another event on its way
            return views.nothing(self.tab)
        shown = compare(opened.before, opened.still(recipe), size=opened.photo.size)
        if session.recipe != recipe or session.opened is not opened or session.search is not None:
            return views.nothing(self.tab)
        session.settled = recipe
        return {self.tab.view: shown}

    def _mine(self, session: Session | None) -> tuple[Session, Updates]:
        """The visitor's session, and what makes the page keep it."""
        session = self.sessions.find(session)
        return session, {self.state: session, self.visitor: words.visitor(session)}

    def _complain(self, why: Exception | str, session: Session | None = None) -> Updates:
        """Where a search is under way, it says it with what it tells next."""
        if session is not None and session.search is not None:
            session.search.notes.append(str(why))
        return {self.tab.status: words.error(str(why))}
