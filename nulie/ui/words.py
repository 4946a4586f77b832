"""Small pieces of HTML: what the page says. Everything from outside is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..drawing import cost
from ..jobs.events import Event, Searching
from ..library.shelf import Shelf
from ..recipe import Recipe
from ..transforms import describe
from . import scripts
from .compat import here
from .opened import Opened
from .session import Session

MOST_FAILURES = 100
"""So many are named."""


def status(text: str, *, share: float | None = None, strong: str = "", note: str = "") -> str:
    """The line of the state, with a bar where something is under way."""
    lead = f"<b>{escape(strong)}</b> " if strong else ""
    bar = ""
    if share is not None:
        percent = 100 * min(1.0, max(0.0, share))
        bar = (
            '<div class="nulie-bar" role="progressbar" aria-label="progress" aria-valuemin="0"'
            f' aria-valuemax="100" aria-valuenow="{percent:.0f}">'
            f'<span style="width:{percent:.1f}%"></span></div>'
        )
    small = f'<p class="nulie-note">{escape(here(note))}</p>' if note else ""
    return f'<div class="nulie-status"><p>{lead}{escape(text)}</p>{bar}{small}</div>'


def error(text: str) -> str:
    shown = escape(here(text))
    return f'<div class="nulie-status" role="alert"><p class="nulie-error">{shown}</p></div>'


def visitor(session: Session) -> str:
    """By what the server knows who has closed the page, and the page one photo from another."""
    photo = session.opened.key if session.opened else ""
    return f'<i id="nulie_token" data-token="{session.token}" data-photo="{photo}"></i>'


def shelf(shown: Shelf | None, *, busy: bool) -> str:
    """By what `library.js` knows the library that is shown, and when it has changed."""
    if shown is None:
        return ""
    return (
        f'<i hidden id="nulie_shelf" data-key="{shown.key}" data-version="{shown.version}"'
        f' data-busy="{int(busy)}"></i>'
    )


def failures(texts: Sequence[str]) -> str:
    """What has failed, and why, folded away."""
    if not texts:
        return ""
    more = len(texts) - MOST_FAILURES
    told = [*texts[:MOST_FAILURES], *([f"and {more:,} more"] if more > 0 else [])]
    rows = "".join(f"<li>{escape(text)}</li>" for text in told)
    return f"<details><summary>{len(texts):,} failed</summary><ul>{rows}</ul></details>"


def about(opened: Opened, note: str = "") -> str:
    photo = opened.photo
    metadata = photo.metadata
    beside = {
        "colour profile": metadata.icc_profile,
        "EXIF": metadata.exif,
        "texts": metadata.text,
        "transparency": photo.transparent,
    }
    names = " and ".join(name for name, there in beside.items() if there)
    keeps = f", with {names}, kept when saving" if names else ""
    width, height = photo.size
    text = f"{opened.name}: {width} x {height}, {photo.format}{keeps}."
    return status(text, note=" ".join(filter(None, (*photo.notes, note))))


def progress(event: Event, notes: str) -> str:
    """How a search stands: its last event in one line, and a bar."""
    strong, text = "", event.words
    if isinstance(event, Searching):
        strong = f"{event.best:.2f}"
        text = f"best score ({event.gain:+.2f}) \u00b7 {event.pace}"
    return status(text, strong=strong, share=event.share, note=notes)


def shown(session: Session, note: str = "") -> str:
    """What is known of the picture that is shown: its score, if somebody has judged it."""
    opened, finish, recipe = session.need(), session.finish, session.recipe
    if finish is None or finish.outcome.result is None:
        if recipe == Recipe():
            return about(opened, note)
        done = "Restored" if session.place(recipe) == 0 else "Changed by hand"
        return status(f"{done}; nobody has judged it.", note=note)
    outcome, result = finish.outcome, finish.outcome.result
    base, spent = result.base.score, cost(result, outcome.predictor)
    place = session.place(recipe)
    if place is not None:
        score = (result.variants[place].terms if result.variants else result.terms).score
        text = f"score, from {base:.2f} ({score - base:+.2f}) \u00b7 {spent}"
        return status(text, strong=f"{score:.2f}", note=note)
    if recipe != Recipe():
        best = f" The best one found has {result.terms.score:.2f}." if outcome.changed else ""
        return status(f"Changed by hand; nobody has judged it.{best}", note=note)
    if outcome.changed:
        return status("score: the photo as it was.", strong=f"{base:.2f}", note=note)
    text = f"Nothing found that beats it (score {base:.2f}): it stays as it is. {spent}"
    return status(text, note=note)


def words(recipe: Recipe) -> str:
    copy = scripts.COPY.replace("RECIPE", escape(recipe.to_json()))
    return f'<p class="nulie-words"><b>Recipe:</b> {escape(describe(recipe))} {copy}</p>'


def size(count: int) -> str:
    """Bytes, for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
