"""Small pieces of HTML: what the page says. Everything from outside is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..drawing import cost
from ..jobs.events import Event, Searching
from ..jobs.outcome import Outcome
from ..recipe import Recipe
from ..transforms import describe
from .opened import Opened


def status(
    text: str, *, share: float | None = None, strong: str = "", note: str = "", token: str = ""
) -> str:
    """The line of the state, with a bar where something is under way. `token`: of the run that
    ends when the page is closed."""
    lead = f"<b>{escape(strong)}</b> " if strong else ""
    bar = ""
    if share is not None:
        percent = 100 * min(1.0, max(0.0, share))
        bar = (
            '<div class="nulie-bar" role="progressbar" aria-label="progress" aria-valuemin="0"'
            f' aria-valuemax="100" aria-valuenow="{percent:.0f}">'
            f'<span style="width:{percent:.1f}%"></span></div>'
        )
    small = f'<p class="nulie-note">{escape(note)}</p>' if note else ""
    run = f'<i class="nulie-run" data-token="{token}"></i>' if token else ""
    return f'<div class="nulie-status"><p>{lead}{escape(text)}</p>{bar}{small}{run}</div>'


def error(text: str) -> str:
    return f'<div class="nulie-status" role="alert"><p class="nulie-error">{escape(text)}</p></div>'


def about(opened: Opened) -> str:
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
    return status(text, note=" ".join(photo.notes))


def progress(event: Event, token: str, notes: Sequence[str] = ()) -> str:
    """How a search stands: its last event in one line, and a bar."""
    strong, text = "", event.words
    if isinstance(event, Searching):
        strong = f"{event.best:.2f}"
        text = f"best score ({event.gain:+.2f}) \u00b7 {event.pace}"
    return status(text, strong=strong, share=event.share, note=" ".join(notes), token=token)


def result(outcome: Outcome) -> str:
    assert outcome.result is not None, "there was a search"
    base, spent = outcome.result.base.score, cost(outcome.result, outcome.predictor)
    if not outcome.changed:
        return status(f"Nothing found that beats it (score {base:.2f}): it stays as it is. {spent}")
    score = outcome.result.terms.score
    return status(
        f"score, from {base:.2f} ({score - base:+.2f}) \u00b7 {spent}", strong=f"{score:.2f}"
    )


def words(recipe: Recipe) -> str:
    return f'<p class="nulie-words"><b>Recipe:</b> {escape(describe(recipe))}</p>'


def size(count: int) -> str:
    """Bytes, for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
