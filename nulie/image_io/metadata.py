"""Everything in a file beside its pixels: gathered from what Pillow read, checked, made upright."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from . import exif as exif_bytes
from . import headers, tiff, xmp
from .photo import Metadata

PARAMETERS = "parameters"
"""Key of sd-webui's generation parameters, in PNG text; elsewhere they are the EXIF comment."""

XMP_KEY = "XML:com.adobe.xmp"
_RAW_EXIF_KEYS = ("Raw profile type exif", "Raw profile type APP1")
XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_TAIL = b"http://ns.adobe.com/xmp/extension/\0"
_APPENDED = re.compile(rb"hdrgm:Version|(?:MotionPhoto|MicroVideo)=[\"']1")
# The luminance table of the JPEG standard (annex K) at quality 50, summed.
_LUMINANCE_SUM = 3688
_LOSSLESS_TIFF = ("raw", "packbits", "zstd", "lzma", *tiff.DIFFERENCED)


def collect(
    image: Image.Image, name: str, file: BinaryIO | None
) -> tuple[Metadata, int, tuple[str, ...]]:
    """Metadata of a decoded picture, the orientation it was stored in, notes on what is lost."""
    notes: list[str] = []
    info = image.info
    text = _text(image)
    exif, packet = _raw_exif(image, file), _raw_xmp(image)
    turn = 1
    if packet is not None:
        try:
            packet, turn = xmp.upright(packet)
            packet, own = xmp.take_text(packet)
            text = own | text
        except ValueError:
            packet = None
            notes.append(f"{name}: XMP in it could not be read and was left out")
    if exif is not None:
        try:
            exif, turn = exif_bytes.upright(exif, turn)
        except ValueError:
            exif = None
            notes.append(f"{name}: EXIF in it could not be read and was left out")
    if packet and _APPENDED.search(packet):
        notes.append(f"{name}: the HDR gain map or video that is appended to it is not kept")
    profile = info.get("icc_profile")
    if profile and (len(profile) < 128 or profile[36:40] != b"acsp"):
        profile = None
        notes.append(f"{name}: colour profile in it could not be read and was left out")
    found = Metadata(
        icc_profile=profile or None,
        exif=exif,
        xmp=packet,
        text=text,
        dpi=_dpi(info.get("dpi")) or (_dpi(exif_bytes.resolution(exif)) if exif else None),
        comment=_comment(info.get("comment")),
        segments=_segments(image),
        png_chunks=headers.png_colour_chunks(file) if file and image.format == "PNG" else (),
        options=_options(image, file, turned=turn >= 5),
    )
    return found, turn, tuple(notes)


def tell_text(metadata: Metadata) -> dict[str, str]:
    """All text of a picture by key, wherever its format keeps it."""
    text = dict(metadata.text)
    if PARAMETERS not in text and metadata.exif:
        comment = exif_bytes.user_comment(metadata.exif)
        if comment and "Steps: " in comment:  # a camera may keep other things there
            text[PARAMETERS] = comment
    return text


def _text(image: Image.Image) -> dict[str, str]:
    # PNG text has a place of its own; of a picture handed over, its info is all there is.
    found: Mapping[Any, Any] = getattr(image, "text", image.info)
    apart = (XMP_KEY, *_RAW_EXIF_KEYS, "comment", "xmp", "compression")
    return {
        key: value
        for key, value in found.items()
        if isinstance(key, str) and isinstance(value, str) and key not in apart
    }


def _raw_exif(image: Image.Image, file: BinaryIO | None) -> bytes | None:
    if image.format == "TIFF" and file is not None:
        file.seek(0)
        try:
            return tiff.exif_of(file.read())
        except ValueError:  # a BigTIFF; whose EXIF the caller then reports as unreadable
            return b""
    data = image.info.get("exif")
    if data:
        return bytes(data)
    for key in _RAW_EXIF_KEYS:
        # ImageMagick's way: a line with the kind, one with the length, then hexadecimal digits.
        value = image.info.get(key)
        if isinstance(value, str):
            try:
                return bytes.fromhex("".join(value.split("\n")[3:]))
            except ValueError:
                return b""
    return None


def _raw_xmp(image: Image.Image) -> bytes | None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        data = image.tag_v2.get(tiff.XMP)
    elif isinstance(image, JpegImagePlugin.JpegImageFile):
        packets = [s[len(XMP_SEGMENT) :] for _, s in image.applist if s.startswith(XMP_SEGMENT)]
        data = packets[0] if packets else None
    else:
        data = image.info.get(XMP_KEY) or image.info.get("xmp")
    if isinstance(data, str):
        return data.encode("utf-8", "replace")
    return bytes(data) if isinstance(data, (bytes, tuple, list)) and data else None


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if all(math.isfinite(v) and 1 <= v <= 65535 for v in (x, y)) else None


def _comment(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    return value.strip("\0") or None if isinstance(value, str) else None


def _segments(image: Image.Image) -> tuple[tuple[int, bytes], ...]:
    """Segments of a JPEG beside those that Pillow writes: captions, and the tail of a long XMP."""
    found = []
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        resources = image.tag_v2.get(tiff.PHOTOSHOP)
        if isinstance(resources, bytes):
            found.append((0xED, headers.without_thumbnails(headers.PHOTOSHOP + resources)))
    for segment, data in getattr(image, "applist", ()):
        if segment == "APP13":
            found.append((0xED, headers.without_thumbnails(data)))
        elif data.startswith(_XMP_TAIL):
            found.append((0xE1, data))
    return tuple((marker, data) for marker, data in found if data)


def _options(image: Image.Image, file: BinaryIO | None, *, turned: bool) -> dict[str, Any]:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(image)
        # 4:2:2 halves the width only, so a quarter turn makes another kind of it.
        keeps = sampling in (0, 2) or (sampling == 1 and not turned)
        return {
            "quality": _quality(image.quantization),
            "subsampling": sampling if keeps else 0,
            "progressive": bool(image.info.get("progressive")),
        }
    if image.format == "WEBP" and file is not None:
        return {"lossless": headers.webp_lossless(file)}
    if image.format == "TIFF":
        compression = image.info.get("compression")
        return {"compression": compression if compression in _LOSSLESS_TIFF else "tiff_lzw"}
    return {}


def _quality(tables: Mapping[int, Any]) -> int:
    """Quality on libjpeg's scale, which multiplies the standard's tables by 2 - quality / 50."""
    table = tables.get(0)
    if not table:
        return 95
    scale: float = sum(table) / _LUMINANCE_SUM
    return max(1, min(100, round(100 - 50 * scale if scale <= 1 else 50 / scale)))
