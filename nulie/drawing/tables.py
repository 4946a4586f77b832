"""Results as tables: a search's marks, the photos of a batch, the files that were saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from .pictures import DataImage

if TYPE_CHECKING:
    from ..engine import Result
    from ..engine.objective import Terms


def cost(result: Result, predictor: str) -> str:
    ends = {"cancelled": "stopped after ", "saturated": "nothing left to gain after "}
    ended = ends.get(result.reason, "")
    rate = result.evaluations / result.seconds if result.seconds else 0.0
    return (
        f"{ended}{result.evaluations:,} nodes in {result.seconds:.1f} s"
        f" ({rate:,.0f} a second), judged by {predictor}"
    )


def terms_table(base: Terms, terms: Terms) -> str:
    rows = [
        ("Score", "what the predictor says", f"{base.score:.2f}", f"{terms.score:.2f}"),
        ("Light", "mean brightness, of the input's", "100 %", f"{100 * terms.light:.0f} %"),
        ("Content", "drift from the input, 0 is none", "0", f"{terms.content:.3f}"),
    ]
    shares = (
        ("Skin", "lightness, of the input's", terms.skin),
        ("Colour", "mean chroma, of the input's", terms.color),
        ("Contrast", "spread of lightness, of the input's", terms.contrast),
    )
    rows += [(n, what, "100 %", f"{100 * s:.0f} %") for n, what, s in shares if s is not None]
    totals = f"{base.total:.2f}", f"{terms.total:.2f}"
    rows.append(("Total", "what the search maximises", *totals))
    body = "".join(
        f'<tr><th scope="row">{name} <small>{meaning}</small></th><td>{before}</td>'
        f"<td>{after}</td></tr>"
        for name, meaning, before, after in rows
    )
    return _table("nulie-terms nulie-total", ("before", "after"), body)


@dataclass
class Row:
    name: str
    said: str = "waiting"
    notes: tuple[str, ...] = ()
    link: str = ""
    """To the result, as HTML."""
    thumb: DataImage | None = None
    before: float | None = None
    after: float | None = None


def table(rows: Sequence[Row]) -> str:
    return _table("nulie-terms", ("photo", "before", "after"), "".join(map(_line, rows)))


def _table(look: str, words: Sequence[str], body: str) -> str:
    head = "".join(f'<th scope="col">{word}</th>' for word in words)
    return (
        f'<table class="{look}"><thead><tr><td></td>{head}</tr></thead>'
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
