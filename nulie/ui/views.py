"""What the components of a photo's tab show: updates, by component."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..drawing import Thumb, compare, curve, picture, terms_table, thumbs
from ..recipe import Recipe
from ..transforms import describe
from . import words
from .photo_tab import PhotoTab
from .running import Finish
from .session import Session

Updates = dict[Any, Any]

# A click on a variant's picture is one on its radio button.
_PRESS = "document.querySelectorAll('#nulie_variant input')[NUMBER].click()"


def html(text: str) -> Any:
    """Takes no room when it is empty."""
    return gr.update(value=text, visible=bool(text))


def part(name: str, inside: str) -> str:
    """A part of a component, which saves one: each makes a page slower to load."""
    return f'<div id="{name}">{inside}</div>'


def nothing(tab: PhotoTab) -> Updates:
    """No change: gradio wants an update of something."""
    return {tab.view: gr.update()}


def buttons(start: Any, stop: Any, *, busy: bool) -> Updates:
    """Those of what is under way, or not."""
    return {start: gr.update(interactive=not busy), stop: gr.update(interactive=busy)}


def everything(tab: PhotoTab, session: Session, note: str = "") -> Updates:
    """All that is known of a photo, and of what a search has found for it."""
    opened, finish, recipe = session.need(), session.finish, session.recipe
    result = finish.outcome.result if finish else None
    found = result.variants if result and len(result.variants) > 1 else ()
    pictures = [Thumb(opened.live(v.recipe), v.terms.score, describe(v.recipe)) for v in found]
    updates = {
        **of_recipe(tab, session, note),
        **{box: gr.update(visible=True) for box in tab.of_photo},
        **tab.steps.show(recipe),
        tab.course: html(part("nulie_variants", thumbs(pictures, press=_PRESS)) if found else ""),
        tab.how: gr.update(visible=finish is not None),
    }
    if finish and result:
        points = finish.outcome.points
        climb = curve(points, result.base.total, result.seconds)
        updates[tab.growth] = part("nulie_climb", climb) + part("nulie_tree", finish.tree)
    return updates


def of_recipe(tab: PhotoTab, session: Session, note: str = "") -> Updates:
    """What the session's recipe makes of the photo: a quick look, where there is no other yet."""
    opened, finish, recipe = session.need(), session.finish, session.recipe
    size, result = opened.photo.size, finish.outcome.result if finish else None
    labels, place = variants(finish), session.place(recipe)
    # What was restored alone is no variant of a search.
    chosen = labels[place] if place is not None and labels else None
    if recipe == Recipe():
        view, session.settled = picture(opened.before, "before", size=size), recipe
    elif finish and place == 0:
        view, session.settled = compare(opened.before, finish.after, size=size), recipe
    else:
        view, session.settled = compare(opened.quick, opened.live(recipe), size=size), None
    updates = {
        tab.view: view,
        tab.status: words.shown(session, note),
        tab.saved: html(""),
        tab.words: html(words.words(recipe) if recipe.entries or result else ""),
        tab.recipe: gr.update(value=recipe.to_json()),
        tab.variant: gr.update(choices=labels, value=chosen, visible=len(labels) > 1),
    }
    if result and (place is not None or recipe == session.best()):
        terms = result.variants[place].terms if place else result.terms
        updates[tab.terms] = terms_table(result.base, terms)
    return updates


def searching(tab: PhotoTab) -> Updates:
    """What a search may change is out of reach until it is over."""
    boxes = (*tab.of_photo, tab.how, tab.variant)
    return {
        **{box: gr.update(visible=False) for box in boxes},
        **{old: html("") for old in (tab.saved, tab.course, tab.words)},
    }


def variants(finish: Finish | None) -> list[str]:
    """The labels of the variants' radio buttons."""
    result = finish.outcome.result if finish else None
    return [f"{n}: {v.terms.score:.2f}" for n, v in enumerate(result.variants, 1)] if result else []
