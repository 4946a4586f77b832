"""A result in words: its marks as a table, what its search has cost, how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine import Result
    from ..engine.objective import Terms


def cost(result: Result, predictor: str) -> str:
    """What a search has cost, and who judged."""
    stopped = "stopped after " if result.reason == "cancelled" else ""
    rate = result.evaluations / result.seconds if result.seconds else 0.0
    return (
        f"{stopped}{result.evaluations:,} nodes in {result.seconds:.1f} s"
        f" ({rate:,.0f} a second), judged by {predictor}"
    )


def terms_table(base: Terms, terms: Terms) -> str:
    """The objective's terms of the input and of a result, side by side."""
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
    for name, meaning, share in shares:
        if share is not None:
            rows.append((name, meaning, "100 %", f"{100 * share:.0f} %"))
    rows.append(
        ("Total", "what the search maximises", f"{base.total:.2f}", f"{terms.total:.2f}"),
    )
    body = "".join(
        f'<tr><th scope="row">{name} <small>{meaning}</small></th><td>{before}</td>'
        f"<td>{after}</td></tr>"
        for name, meaning, before, after in rows
    )
    return (
        '<table class="nulie-terms nulie-total"><thead><tr><th></th><th scope="col">before</th>'
        f'<th scope="col">after</th></tr></thead><tbody>{body}</tbody></table>'
    )
