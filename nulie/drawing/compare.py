"""Pictures in the page, and the before/after slider: one range input over two pictures. Its
handlers stand in the markup, since a script that arrives as part of a component never runs."""

from __future__ import annotations

from html import escape

from .pictures import DataImage

_MOVE = (
    "window.nulieAt=this.value;this.parentNode.style.setProperty('--nulie-at',this.value+'%');"
    "this.setAttribute('aria-valuetext',this.value+' % before')"
)
# A new pair of pictures keeps the divider where the last one had it.
_KEEP = (
    "var a=window.nulieAt;if(a!==undefined){var p=this.parentNode;"
    "p.style.setProperty('--nulie-at',a+'%');p.querySelector('input').value=a}"
)


def picture(image: DataImage, caption: str, *, size: tuple[int, int] | None = None) -> str:
    """One picture in the frame of the slider. `size`: the photo's, in pixels."""
    return (
        f'<div class="nulie-frame" style="{_room(image, size)}">'
        f'<img src="{escape(image.uri)}" alt="{escape(caption)}" decoding="sync">'
        f'<span class="nulie-tag nulie-right">{escape(caption)}</span></div>'
    )


def compare(
    before: DataImage,
    after: DataImage,
    *,
    size: tuple[int, int] | None = None,
    names: tuple[str, str] = ("before", "after"),
) -> str:
    """The slider. Works by mouse, touch and keyboard (arrows, Home, End), without a network."""
    return (
        f'<div class="nulie-frame nulie-compare" style="{_room(after, size)}">'
        f'<img class="nulie-after" src="{escape(after.uri)}" alt="{escape(names[1])}"'
        f' decoding="sync" onload="{escape(_KEEP)}">'
        f'<img class="nulie-before" src="{escape(before.uri)}" alt="{escape(names[0])}"'
        ' decoding="sync">'
        f'<span class="nulie-tag nulie-left">{escape(names[0])}</span>'
        f'<span class="nulie-tag nulie-right">{escape(names[1])}</span>'
        '<span class="nulie-divider"></span>'
        '<input type="range" min="0" max="100" value="50" step="1"'
        f' aria-label="{escape(names[0])} and {escape(names[1])}" oninput="{escape(_MOVE)}"></div>'
    )


def _room(image: DataImage, size: tuple[int, int] | None) -> str:
    """As wide as the column, never higher than the window, and small pictures not blown up. The
    same for a preview as for the full size, so that nothing jumps when the one replaces the
    other."""
    width, height = size or (image.width, image.height)
    ratio = width / height
    return (
        f"aspect-ratio:{width}/{height};"
        f"width:min(100%,calc(72vh*{ratio:.4f}),{max(320, 2 * width)}px)"
    )
