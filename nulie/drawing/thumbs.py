"""Small pictures in a row: the variants of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .pictures import DataImage


@dataclass(frozen=True)
class Thumb:
    """A variant as a small picture."""

    image: DataImage
    score: float
    words: str
    """Its recipe."""


def thumbs(variants: Sequence[Thumb], *, press: str = "") -> str:
    """`press`: the script of each one's button, with `NUMBER` where the place of the variant goes,
    from 0. Without it they are no buttons, and their recipes are written below."""
    parts = []
    for number, variant in enumerate(variants):
        words = escape(variant.words)
        alt = f"variant {number + 1}: {words}"
        inside = f'<img src="{variant.image.uri}" alt="{alt}">{number + 1}: {variant.score:.2f}'
        if press:
            script = escape(press.replace("NUMBER", str(number)))
            parts.append(
                f'<button type="button" class="nulie-thumb" title="{words}" onclick="{script}">'
                f"{inside}</button>"
            )
        else:
            parts.append(f'<span class="nulie-thumb">{inside}<br><small>{words}</small></span>')
    return f'<div class="nulie-thumbs">{"".join(parts)}</div>'
