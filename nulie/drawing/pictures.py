"""Pictures in HTML: one, two under a before/after slider, or a row of small ones. The slider's
handlers stand in the markup, since a script that arrives as part of a component never runs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO

from PIL import Image

from ..image_io import Photo
from ..jobs.look import scale_down

LARGEST_PROFILE = 64 << 10
"""Bytes; larger profiles are a printer's, and no browser needs them for a preview."""

_MOVE = (
    "if(this.held)return;window.nulieAt=this.value;this.parentNode.style.setProperty('--nulie-at',this.value+'%');"
    "this.setAttribute('aria-valuetext',this.value+' % before')"
)
# A finger that scrolls the page goes over the picture, too: the divider waits until it has gone
# aside or is lifted, and forgets it when the browser scrolls.
_TOUCH = {
    "pointerdown": "if(event.pointerType==='touch'){this.held=[event.clientX];this.was=this.value}",
    "pointermove": "if(this.held&&Math.abs(event.clientX-this.held[0])>8)"
    "{this.held=null;this.oninput()}",
    "pointerup": "if(this.held){this.held=null;this.oninput()}",
    "pointercancel": "if(this.held){this.held=null;this.value=this.was}",
}
# A new pair of pictures keeps the divider where the last one had it.
_KEEP = (
    "var a=window.nulieAt;if(a!==undefined){var p=this.parentNode;"
    "p.style.setProperty('--nulie-at',a+'%');p.querySelector('input').value=a}"
)


@dataclass(frozen=True)
class DataImage:
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Thumb:
    image: DataImage
    score: float
    words: str


def embed(pixels: Image.Image, photo: Photo, longest: int, *, quality: int = 90) -> DataImage:
    """`pixels` as they look, see `encode`."""
    kind, written, size = encode(pixels, photo, longest, quality=quality)
    return _data(kind, written, size)


def encode(
    pixels: Image.Image, photo: Photo, longest: int, *, quality: int
) -> tuple[str, bytes, tuple[int, int]]:
    """`pixels` as they look, with the photo's colour profile and its transparency: what kind of
    file it is, the file, its size in pixels."""
    small = scale_down(pixels, longest)
    profile = photo.metadata.icc_profile
    if profile and (len(profile) > LARGEST_PROFILE or profile[16:20] == b"GRAY"):
        profile = None
    options = {"icc_profile": profile} if profile else {}
    stream = BytesIO()
    if photo.transparent and photo.alpha is not None:
        kind = "image/webp"
        small = small.copy()
        small.putalpha(photo.alpha.resize(small.size, Image.Resampling.BILINEAR))
        small.save(stream, "WEBP", quality=quality, **options)
    else:
        kind = "image/jpeg"
        small.save(stream, "JPEG", quality=quality, subsampling=0, **options)
    return kind, stream.getvalue(), small.size


def jpeg(data: bytes, size: tuple[int, int]) -> DataImage:
    return _data("image/jpeg", data, size)


def _data(kind: str, data: bytes, size: tuple[int, int]) -> DataImage:
    return DataImage(f"data:{kind};base64,{base64.b64encode(data).decode()}", *size)


def picture(image: DataImage, caption: str, *, size: tuple[int, int] | None = None) -> str:
    """One picture in the frame of the slider. `size`: the photo's, in pixels."""
    return (
        f'<div class="nulie-frame" style="{_room(image, size)}">'
        f'<img src="{escape(image.uri)}" alt="{escape(caption)}" decoding="sync">'
        f'<span class="nulie-tag nulie-right">{escape(caption)}</span></div>'
    )


def compare(
    before: DataImage, after: DataImage, *,
    size: tuple[int, int] | None = None, names: tuple[str, str] = ("before", "after"),
) -> str:  # fmt: skip
    """The slider. Works by mouse, touch and keyboard (arrows, Home, End), without a network."""
    left, right = map(escape, names)
    return (
        f'<div class="nulie-frame nulie-compare" style="{_room(after, size)}">'
        f'<img class="nulie-after" src="{escape(after.uri)}" alt="{right}"'
        f' decoding="sync" onload="{escape(_KEEP)}">'
        f'<img class="nulie-before" src="{escape(before.uri)}" alt="{left}" decoding="sync">'
        f'<span class="nulie-tag nulie-left">{left}</span>'
        f'<span class="nulie-tag nulie-right">{right}</span><span class="nulie-divider"></span>'
        '<input type="range" min="0" max="100" value="50" step="1"'
        f' aria-label="{left} and {right}" oninput="{escape(_MOVE)}"'
        + "".join(f' on{event}="{escape(script)}"' for event, script in _TOUCH.items())
        + "></div>"
    )


def _room(image: DataImage, size: tuple[int, int] | None) -> str:
    """As wide as the column, never higher than the window, and small pictures not blown up; the
    same for a preview as for the full size, so that nothing jumps when one replaces the other."""
    width, height = size or (image.width, image.height)
    room = f"min(100%,calc(72vh*{width / height:.4f}),{max(320, 2 * width)}px)"
    return f"aspect-ratio:{width}/{height};width:{room}"


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
