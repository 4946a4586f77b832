"""Writing: pixels and what the photo carried beside them become a file again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import ImageError, SettingsError
from . import atomic
from .encode import LARGEST, NO_ALPHA, assembled, encoded, left_out, merged_text, profile_for
from .metadata import tell_text
from .photo import Metadata, Photo
from .read import HAS_AVIF, check_opens, reason, shown_path

_log = logging.getLogger(__name__)

_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **{".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"},
    **({".avif": "AVIF"} if HAS_AVIF else {}),
}
_SUFFIXES = {**dict.fromkeys(("JPEG", "HEIF", "JXL"), ".jpg"), "TIFF": ".tif",
             **{name: f".{name.lower()}" for name in ("WEBP", "BMP", "AVIF")}}  # fmt: skip


def default_output(path: Path, folder: Path | None = None, *, photo: Photo | None = None) -> Path:
    """`photo_nulie.jpg` for `photo.jpg`, beside it or in `folder`.

    Formats nulie does not write become `.png`. With `photo`, so does a file whose suffix belies
    its contents or that holds alpha where its format cannot."""
    suffix = path.suffix if path.suffix.lower() in _FORMATS else ".png"
    if photo is not None:
        if _FORMATS[suffix.lower()] != photo.format:
            suffix = _SUFFIXES.get(photo.format, ".png")
        if photo.transparent and _FORMATS.get(suffix.lower()) in NO_ALPHA:
            suffix = ".png"
    return (folder or path.parent) / f"{path.stem}_nulie{suffix}"


def check_output(photo: Photo, path: Path, *, overwrite: bool = False) -> tuple[str, ...]:
    """Notes on what the format of `path` cannot hold.

    Raises: ImageError for all that can be known, before a search, to stop `save` after it."""
    shown = shown_path(path)
    format = _FORMATS.get(path.suffix.lower())
    if format is None:
        kind, kinds = path.suffix or "this", ", ".join(sorted(_FORMATS))
        raise ImageError(f"{shown}: nulie does not write {kind}; choose of {kinds}")
    if photo.transparent and format in NO_ALPHA:
        raise ImageError(f"{shown}: {format} cannot hold the transparency; choose .png or .webp")
    largest = LARGEST.get(format)
    if largest and max(photo.size) > largest:
        raise ImageError(f"{shown}: {format} ends at {largest} pixels a side; choose .png or .tif")
    if photo.path is not None and _same_file(path, photo.path):
        raise ImageError(f"{shown}: is the input, which is never overwritten; choose another name")
    atomic.check(path, overwrite=overwrite)
    return tuple(f"{shown}: {note}" for note in left_out(photo, format))


def same_format(photo: Photo, path: Path) -> bool:
    """Whether the suffix of `path` is that of the format `photo` was read from."""
    return _FORMATS.get(path.suffix.lower()) == photo.format


def save(
    photo: Photo, pixels: Image.Image, path: Path, *,
    text: Mapping[str, str] | None = None, quality: int | None = None, overwrite: bool = False,
    mode: int = atomic.OPEN, say: Callable[[str], object] = _log.warning,
) -> Path:  # fmt: skip
    """Write `pixels` with all that `photo` carries, and `text` beside it. The suffix is the format.

    `text` replaces what an earlier run of nulie left. `quality` is for JPEG, WebP and AVIF;
    nobody sees more of the file than `mode` lets. What is lost although the format has room for it,
    is told to `say` in a sentence.
    Raises: ImageError naming the path; then nothing is left behind."""
    path = Path(path)
    if quality is not None and not 1 <= quality <= 100:
        raise SettingsError(f"quality {quality} is out of range; choose 1 to 100")
    check_output(photo, path, overwrite=overwrite)
    data, lost = _encoded(photo, pixels, path, text or {}, quality)
    if lost:
        say(lost)
    atomic.write(path, data, overwrite=overwrite, mode=mode)
    return path


def to_image(
    photo: Photo, pixels: Image.Image, *, text: Mapping[str, str] | None = None
) -> Image.Image:
    """The picture for a host that saves by itself: alpha back, grey kept, `info` filled."""
    image = assembled(photo, pixels, {"L", "LA", "RGB", "RGBA"})
    if image is pixels:
        image = pixels.copy()
    metadata = photo.metadata
    found: dict[Any, Any] = {
        **merged_text(tell_text(metadata), text or {}),
        "icc_profile": profile_for(metadata, image),
        "exif": metadata.exif and b"Exif\0\0" + metadata.exif,
        "xmp": metadata.xmp,
        "dpi": metadata.dpi,
    }
    image.info = {key: value for key, value in found.items() if value}
    return image


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist
        return a.resolve() == b.resolve()


def _encoded(
    photo: Photo, pixels: Image.Image, path: Path, text: Mapping[str, str], quality: int | None
) -> tuple[bytes, str]:
    """The bytes of the file, and a sentence on what is lost: metadata that the format does not take
    must not cost the picture."""
    format = _FORMATS[path.suffix.lower()]
    metadata = replace(photo.metadata, text=merged_text(photo.metadata.text, text))
    last: Exception | None = None
    for kept, lost in _less_and_less(metadata, text):
        try:
            data = encoded(replace(photo, metadata=kept), pixels, format, quality)
            check_opens(data, format)
        except Exception as e:
            last = last or e
            continue
        why = f"{lost} could not be stored ({reason(last)})" if last else ""
        return data, why and f"{shown_path(path)}: {why}"
    assert last is not None
    why = f"cannot be encoded as {format} ({reason(last)}); choose another format"
    raise ImageError(f"{shown_path(path)}: {why}") from None


def _less_and_less(metadata: Metadata, text: Mapping[str, str]) -> Iterator[tuple[Metadata, str]]:
    yield metadata, ""
    yield replace(metadata, exif=None), "EXIF"
    bare = replace(metadata, exif=None, xmp=None, photoshop=None, text=text)
    yield bare, "EXIF, XMP, captions and texts"
    yield Metadata(options=metadata.options), "all metadata"
