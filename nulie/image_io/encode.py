"""One function per format: what to hand to Pillow so that the file holds all that it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops, PngImagePlugin

from . import exif as exif_bytes
from . import tiff
from . import xmp as xmp_packet
from .headers import PHOTOSHOP
from .metadata import PARAMETERS, XMP_KEY, XMP_SEGMENT, tell_text
from .photo import Metadata, Photo

NO_ALPHA = ("JPEG", "BMP")
LARGEST = {"JPEG": 65500, "WEBP": 16383}
"""Pixels a side, where a format has a limit."""

_LEAST_QUALITY = 90
_BEST_QUALITY = 95
_SEGMENT = 65533

_LOSSLESS = ("PNG", "TIFF", "BMP", "GIF")


def merged_text(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in old.items() if not (new and (k == "nulie" or k.startswith("nulie ")))}
    return {**kept, **new}


def assembled(photo: Photo, pixels: Image.Image, modes: set[str]) -> Image.Image:
    """Pixels and alpha in the first of `modes` that loses nothing."""
    if photo.grey and "L" in modes and _is_grey(pixels):
        # Not convert("L"): its weighted sum is for colours.
        pixels = pixels.getchannel(0)
    if photo.alpha is None or not modes & {"LA", "RGBA"}:
        return pixels
    mode = pixels.mode + "A"
    if mode not in modes:
        pixels, mode = pixels.convert("RGB"), "RGBA"
    return Image.merge(mode, (*pixels.split(), photo.alpha))


def _is_grey(pixels: Image.Image) -> bool:
    red, green, blue = pixels.split()
    return all(ImageChops.difference(red, c).getbbox() is None for c in (green, blue))


def profile_for(metadata: Metadata, image: Image.Image) -> bytes | None:
    """The colour profile, unless it is one for grey and the picture is written in colour."""
    profile = metadata.icc_profile
    if profile and profile[16:20] == b"GRAY" and image.mode not in ("L", "LA"):
        return None
    return profile


def _jpeg(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    metadata = photo.metadata
    own = metadata.options if photo.format == "JPEG" else {}
    exif, packet = _tagged(metadata, keeps_comment=True)
    if packet and len(XMP_SEGMENT + packet) > _SEGMENT:
        # One segment is all that readers look for. Room first for what is small: nulie's text.
        nulie = {k: v for k, v in metadata.text.items() if k.startswith("nulie")}
        exif, packet = _tagged(replace(metadata, xmp=None, text=nulie), keeps_comment=True)
    segments = [*metadata.segments, *([(0xE1, XMP_SEGMENT + packet)] if packet else [])]
    return {
        "quality": quality or max(_LEAST_QUALITY, own.get("quality", _BEST_QUALITY)),
        "subsampling": own.get("subsampling", 0),
        "progressive": own.get("progressive", False),
        "extra": b"".join(
            bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data
            for marker, data in segments
        ),
        "exif": b"Exif\0\0" + exif if exif else b"",
        "comment": (metadata.comment or "").encode("utf-8", "replace")[:_SEGMENT],
    }


def _png(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    metadata = photo.metadata
    chunks = PngImagePlugin.PngInfo()
    for kind, data in metadata.png_chunks:
        chunks.add(kind, data)
    text = _with_comment(tell_text(metadata), metadata)
    for key, value in text.items():
        # Keys are Latin-1 and at most 79 bytes long.
        name = key.encode("latin-1", "replace")[:79].decode("latin-1")
        if name:
            chunks.add_text(name, value)
    if metadata.xmp:
        chunks.add_itxt(XMP_KEY, metadata.xmp.decode("utf-8", "replace"))
    return {"pnginfo": chunks, "exif": metadata.exif or b""}


def _webp(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    exif, packet = _tagged(photo.metadata, states_dpi=True)
    lossless = photo.metadata.options.get("lossless", photo.format in _LOSSLESS)
    options: dict[str, Any] = {"exif": exif or b"", "xmp": packet or b"", "exact": True}
    if lossless and quality is None:
        return {**options, "lossless": True}
    return {**options, "quality": quality or _BEST_QUALITY}


def _tiff(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    compression = photo.metadata.options.get("compression", "tiff_lzw")
    predictor = {tiff.PREDICTOR: 2} if compression in tiff.DIFFERENCED else {}
    return {"compression": compression, "tiffinfo": predictor}


def _avif(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    exif, packet = _tagged(photo.metadata, states_dpi=True)
    # The quality is alpha's too, and only the best leaves it untouched.
    quality = 100 if photo.transparent else quality or _LEAST_QUALITY
    sampling = "4:0:0" if image.mode == "L" else "4:4:4"
    tags = {"exif": exif or b"", "xmp": packet or b""}
    return {**tags, "quality": quality, "subsampling": sampling}


_Options = Callable[[Photo, Image.Image, int | None], dict[str, Any]]
_FORMATS: Mapping[str, tuple[set[str], _Options]] = {
    "JPEG": ({"L", "RGB"}, _jpeg),
    "PNG": ({"L", "LA", "RGB", "RGBA"}, _png),
    "WEBP": ({"RGB", "RGBA"}, _webp),
    "TIFF": ({"L", "LA", "RGB", "RGBA"}, _tiff),
    "AVIF": ({"L", "RGB", "RGBA"}, _avif),
    "BMP": ({"L", "RGB"}, lambda photo, image, quality: {}),
}
"""Modes that a format takes, and its options."""


def encoded(photo: Photo, pixels: Image.Image, format: str, quality: int | None = None) -> bytes:
    """A file of `pixels` with all that `photo` carries. Raises: whatever Pillow raises."""
    modes, options = _FORMATS[format]
    image, metadata = assembled(photo, pixels, modes), photo.metadata
    common = {"icc_profile": profile_for(metadata, image), "dpi": metadata.dpi}
    known = {name: value for name, value in common.items() if value}
    # In memory, for Pillow's encoders hide why a disk refused to take their bytes.
    stream = BytesIO()
    image.save(stream, format, **options(photo, image, quality), **known)
    if format != "TIFF":
        return stream.getvalue()
    resources = [s[len(PHOTOSHOP) :] for _, s in metadata.segments if s.startswith(PHOTOSHOP)]
    exif, packet = _tagged(metadata)
    return tiff.with_metadata(stream.getvalue(), exif, packet, resources[0] if resources else None)


def _with_comment(text: Mapping[str, str], metadata: Metadata) -> dict[str, str]:
    comment = {"Comment": metadata.comment} if metadata.comment else {}
    return {**comment, **text}


def _tagged(
    metadata: Metadata, *, keeps_comment: bool = False, states_dpi: bool = False
) -> tuple[bytes | None, bytes | None]:
    """EXIF and XMP that hold the text too, for formats without text chunks."""
    text = dict(metadata.text)
    if not keeps_comment:
        text = _with_comment(text, metadata)
    exif = metadata.exif
    if PARAMETERS in text:
        comment = exif_bytes.user_comment(exif) if exif else None
        if comment is None:
            exif = exif_bytes.with_user_comment(exif, text[PARAMETERS])
        if comment in (None, text[PARAMETERS]):
            del text[PARAMETERS]
    if states_dpi and metadata.dpi:
        exif = exif_bytes.with_resolution(exif, metadata.dpi)
    return exif, xmp_packet.put_text(metadata.xmp, text) if text else metadata.xmp
