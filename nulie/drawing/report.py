"""A run as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..image_io import Photo
from ..jobs.look import Look
from ..recipe import Recipe
from ..search import Node
from ..transforms import describe
from ..video.source import clock
from .curve import curve
from .pictures import Thumb, compare, embed, jpeg, picture, thumbs
from .tables import cost, terms_table
from .tree import tree

if TYPE_CHECKING:
    from ..engine import Result
    from ..jobs.video import Film

LONGEST = 1600
SMALL = 480

CSS = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
"""The look of all that is drawn, for a style element. In the page its colors are the host's."""

_LOOK = """
:root { color-scheme: light dark; --color-accent: #f97316; --body-text-color: #1f2328;
  --body-text-color-subdued: #6b7280; --border-color-primary: #8885; }
@media (prefers-color-scheme: dark) { :root { --body-text-color: #e6e6e6;
  --body-text-color-subdued: #9ca3af; } }
body { max-width: 1000px; margin: 24px auto; padding: 0 16px; font: 16px/1.5 system-ui, sans-serif;
  color: var(--body-text-color); background: Canvas; }
h1 { font-size: 1.5em; } h2 { margin: 28px 0 8px; font-size: 1.1em; }
pre { padding: 10px; overflow-x: auto; background: #8881; border-radius: 6px; }
figure { margin: 0; }
"""
# Tells browsers to hold the file to its word.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report(
    name: str, photo: Photo, result: Result, *, recipe: Recipe,
    nodes: Sequence[Node], points: Sequence[tuple[float, float]], predictor: str,
) -> str:  # fmt: skip
    """The whole file. `photo` is what the search began with, `recipe` all that was done, before it
    and after it, too; `points`: (seconds, best score) at each improvement of the search; `nodes`:
    what its tree remembers, best first."""
    before = embed(photo.pixels, photo, LONGEST)
    if result.variants:
        view = compare(before, embed(result.image, photo, LONGEST), size=photo.size)
        end = f"score {result.base.score:.2f} \u2192 <b>{result.terms.score:.2f}</b>"
    else:
        view = picture(before, "stays as it is", size=photo.size)
        end = f"nothing found that beats it (score {result.base.score:.2f})"
    gallery = ""
    if len(result.variants) > 1:
        look = Look(photo, SMALL)
        variants = [
            Thumb(embed(look.picture(v.recipe), photo, SMALL), v.terms.score, describe(v.recipe))
            for v in result.variants
        ]
        gallery = f"<h2>Variants</h2>{thumbs(variants)}"
    return _page(
        name,
        f"{view}<p>{end} \u00b7 {escape(cost(result, predictor))}</p>"
        f"<p><b>Recipe:</b> {escape(describe(recipe))}</p>"
        f"<pre>{escape(recipe.to_json())}</pre>"
        f"{gallery}"
        f"<h2>What the score is made of</h2>{terms_table(result.base, result.terms)}"
        f"<h2>How it was found</h2>{curve(points, result.base.total, result.seconds)}"
        f"{tree(nodes, result.base.total, result.recipe)}",
    )


def film_report(film: Film) -> str:
    """The whole file: each shot with the frame that stands for it, before and after."""
    return _page(film.name, shots(film))


def shots(film: Film) -> str:
    """Each of a film's that has `keys`."""
    parts = [f"<p>{film.frames:,} frames, {len(film.shots):,} shots</p>"]
    for number, (shot, key) in enumerate(zip(film.shots, film.keys, strict=True), 1):
        parts.append(f"<h2>Shot {number}, from {clock(shot.begin)}, {shot.frames:,} frames</h2>")
        before, after = (jpeg(data, key.size) for data in (key.before, key.after))
        parts.append(compare(before, after, size=key.size))
        words = f"<b>Recipe:</b> {escape(describe(shot.recipe.thaw()))}"
        if shot.like is not None:
            words += f", as that of shot {shot.like}, which it looks like"
        elif shot.before is not None and shot.after is not None:
            judged = f"score {shot.before:.2f} \u2192 <b>{shot.after:.2f}</b>"
            by = f", judged by {escape(film.predictor)}" if film.predictor else ""
            parts.append(f"<p>{judged}{by}</p>")
        parts.append(f"<p>{words}</p><pre>{escape(shot.recipe.thaw().to_json())}</pre>")
    return "".join(parts)


def _page(name: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)} - nulie</title><style>{_LOOK}{CSS}</style></head><body>"
        f"<h1>{escape(name)}</h1>{body}</body></html>\n"
    )
