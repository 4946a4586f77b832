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
"""The most bytes that one segment of a JPEG holds."""

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


def _jpeg(photo: Photo, pixels: Image.Image, quality: int | None) -> bytes:
    metadata = photo.metadata
    image = assembled(photo, pixels, {"L", "RGB"})
    own = metadata.options if photo.format == "JPEG" else {}
    exif, packet = _tagged(metadata, keeps_comment=True)
    if packet and len(XMP_SEGMENT + packet) > _SEGMENT:
        # One segment is all that readers look for. Room first for what is small: nulie's text.
        nulie = {k: v for k, v in metadata.text.items() if k.startswith("nulie")}
        exif, packet = _tagged(replace(metadata, xmp=None, text=nulie), keeps_comment=True)
    segments = [*metadata.segments, *([(0xE1, XMP_SEGMENT + packet)] if packet else [])]
    options: dict[str, Any] = {
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
    return _saved(image, "JPEG", metadata, options)


def _png(photo: Photo, pixels: Image.Image, quality: int | None) -> bytes:
    metadata = photo.metadata
    image = assembled(photo, pixels, {"L", "LA", "RGB", "RGBA"})
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
    options = {"pnginfo": chunks, "exif": metadata.exif or b""}
    return _saved(image, "PNG", metadata, options)


def _webp(photo: Photo, pixels: Image.Image, quality: int | None) -> bytes:
    image = assembled(photo, pixels, {"RGB", "RGBA"})
    exif, packet = _tagged(photo.metadata, states_dpi=True)
    lossless = photo.metadata.options.get("lossless", photo.format in _LOSSLESS)
    options: dict[str, Any] = {"exif": exif or b"", "xmp": packet or b"", "exact": True}
    if lossless and quality is None:
        options["lossless"] = True
    else:
        options["quality"] = quality or _BEST_QUALITY
    return _saved(image, "WEBP", photo.metadata, options)


def _tiff(photo: Photo, pixels: Image.Image, quality: int | None) -> bytes:
    metadata = photo.metadata
    image = assembled(photo, pixels, {"L", "LA", "RGB", "RGBA"})
    options: dict[str, Any] = {"compression": metadata.options.get("compression", "tiff_lzw")}
    if options["compression"] in tiff.DIFFERENCED:
        options["tiffinfo"] = {tiff.PREDICTOR: 2}
    data = _saved(image, "TIFF", metadata, options)
    exif, packet = _tagged(metadata)
    resources = [s[len(PHOTOSHOP) :] for _, s in metadata.segments if s.startswith(PHOTOSHOP)]
    return tiff.with_metadata(data, exif, packet, resources[0] if resources else None)


def _avif(photo: Photo, pixels: Image.Image, quality: int | None) -> bytes:
    image = assembled(photo, pixels, {"L", "RGB", "RGBA"})
    exif, packet = _tagged(photo.metadata, states_dpi=True)
    options: dict[str, Any] = {"exif": exif or b"", "xmp": packet or b""}
    options["quality"] = quality or _LEAST_QUALITY
    if photo.transparent:
        # The quality is alpha's too, and only the best leaves it untouched.
        options["quality"] = 100
    options["subsampling"] = "4:0:0" if image.mode == "L" else "4:4:4"
    return _saved(image, "AVIF", photo.metadata, options)


def _bmp(photo: Photo, pixels: Image.Image, quality: int | None) -> bytes:
    return _saved(assembled(photo, pixels, {"L", "RGB"}), "BMP", photo.metadata, {})


ENCODERS: Mapping[str, Callable[[Photo, Image.Image, int | None], bytes]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "AVIF": _avif,
    "BMP": _bmp,
}


def _saved(
    image: Image.Image, format: str, metadata: Metadata, options: Mapping[str, Any]
) -> bytes:
    common = {"icc_profile": profile_for(metadata, image), "dpi": metadata.dpi}
    # In memory, for Pillow's encoders hide why a disk refused to take their bytes.
    stream = BytesIO()
    image.save(stream, format, **options, **{k: v for k, v in common.items() if v})
    return stream.getvalue()


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
