"""What the components of a photo's tab show: updates, by component."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..drawing import Thumb, compare, curve, picture, terms_table, thumbs
from ..recipe import Recipe
from ..transforms import describe
from . import words
from .opened import Opened
from .photo_tab import PhotoTab
from .running import Finish

Updates = dict[Any, Any]

# A click on a variant's picture is one on its radio button.
_PRESS = "document.querySelectorAll('#nulie_variant input')[NUMBER].click()"


def html(text: str) -> Any:
    """Takes no room when it is empty."""
    return gr.update(value=text, visible=bool(text))


def nothing(tab: PhotoTab) -> Updates:
    """No change: gradio wants an update of something."""
    return {tab.words: gr.update()}


def buttons(start: Any, stop: Any, *, busy: bool) -> Updates:
    """Those of what is under way, or not."""
    return {start: gr.update(interactive=not busy), stop: gr.update(interactive=busy)}


def of_photo(tab: PhotoTab, opened: Opened) -> Updates:
    """A photo that nothing was done to yet."""
    return {
        tab.view: picture(opened.before, "before", size=opened.photo.size),
        tab.status: words.about(opened),
        tab.variant: gr.update(choices=[], value=None, visible=False),
        tab.how: gr.update(visible=False),
        **{box: gr.update(visible=True) for box in tab.of_photo},
        **{old: html("") for old in (tab.saved, tab.curve, tab.thumbs, tab.words)},
        **{tab.terms: "", tab.tree: ""},
        tab.recipe: gr.update(value=Recipe().to_json()),
        **tab.steps.show(Recipe()),
    }


def of_finish(tab: PhotoTab, finish: Finish) -> Updates:
    """What a search has found, and how."""
    opened, outcome = finish.opened, finish.outcome
    result = outcome.result
    assert result is not None, "there was a search"
    labels = variants(finish)
    several = len(labels) > 1
    found = [
        Thumb(opened.live(v.recipe), v.terms.score, describe(v.recipe))
        for v in (result.variants if several else ())
    ]
    view = picture(opened.before, "stays as it is", size=opened.photo.size)
    if outcome.changed:
        view = compare(opened.before, finish.after, size=opened.photo.size)
    return {
        tab.view: view,
        tab.status: words.result(outcome),
        tab.curve: html(""),
        tab.climb: curve(outcome.points, result.base.total, result.seconds),
        tab.thumbs: html(thumbs(found, press=_PRESS) if several else ""),
        tab.variant: gr.update(choices=labels, value=next(iter(labels), None), visible=several),
        tab.words: html(words.words(outcome.recipe)),
        tab.recipe: gr.update(value=outcome.recipe.to_json()),
        tab.how: gr.update(visible=True),
        tab.terms: terms_table(result.base, result.terms),
        tab.tree: finish.tree,
        **tab.steps.show(outcome.recipe),
    }


def of_recipe(tab: PhotoTab, opened: Opened, recipe: Recipe) -> Updates:
    """What a recipe makes of the photo, on the small copy."""
    return {
        tab.view: compare(opened.quick, opened.live(recipe), size=opened.photo.size),
        tab.words: html(words.words(recipe)),
        tab.recipe: gr.update(value=recipe.to_json()),
    }


def still(tab: PhotoTab, opened: Opened, recipe: Recipe) -> Updates:
    """The same of the pixels that would be saved."""
    return {tab.view: compare(opened.before, opened.still(recipe), size=opened.photo.size)}


def variants(finish: Finish) -> list[str]:
    """The labels of the variants' radio buttons."""
    result = finish.outcome.result
    return [f"{n}: {v.terms.score:.2f}" for n, v in enumerate(result.variants, 1)] if result else []
