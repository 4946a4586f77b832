"""Results as rows: the photos of a batch, the files that were saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .pictures import DataImage


@dataclass
class Row:
    """A photo of a batch and what became of it."""

    name: str
    said: str = "waiting"
    """How it stands; its recipe in the end."""
    notes: tuple[str, ...] = ()
    link: str = ""
    """To the result, as HTML."""
    thumb: DataImage | None = None
    before: float | None = None
    after: float | None = None


def table(rows: Sequence[Row]) -> str:
    """The photos of a batch with their scores."""
    head = "".join(f'<th scope="col">{word}</th>' for word in ("photo", "before", "after"))
    body = "".join(map(_line, rows))
    return (
        f'<table class="nulie-terms"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _line(row: Row) -> str:
    thumb = f'<img src="{row.thumb.uri}" alt="">' if row.thumb else ""
    said = "".join(f"<br><small>{escape(text)}</small>" for text in (row.said, *row.notes))
    scores = "".join(
        f"<td>{'' if score is None else f'{score:.2f}'}</td>" for score in (row.before, row.after)
    )
    return (
        f'<tr><td class="nulie-pic">{thumb}</td><th scope="row">{row.link or escape(row.name)}'
        f"{said}</th>{scores}</tr>"
    )


def history(files: Sequence[tuple[str, str, DataImage]]) -> str:
    """(link as HTML, words, picture) of each file that was saved, the oldest first."""
    lines = "".join(
        f'<div class="nulie-saved"><img src="{thumb.uri}" alt=""><span>{link}<br>'
        f"<small>{escape(words)}</small></span></div>"
        for link, words, thumb in reversed(files)
    )
    return f"<p><b>Saved so far</b></p>{lines}"
