"""Everything in a file beside its pixels: gathered from what Pillow read, checked, made upright."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from . import exif as exif_bytes
from . import headers, jpeg, png, tiff, xmp
from .photo import Metadata

PARAMETERS = "parameters"
"""Key of sd-webui's generation parameters, in PNG text; elsewhere they are the EXIF comment."""

SCORE_KEY = "aesthetic_score"
"""Key of a picture's score in PNG text, as programs for generated images know it."""

# ImageMagick puts EXIF and others into texts, also as exif:Orientation.
_RAW_KINDS = ("exif", "APP1", "xmp", "8bim", "iptc")
_APART = (png.XMP_KEY, "comment", "xmp", "compression", *(png.RAW + kind for kind in _RAW_KINDS))
_ORIENTATION = re.compile(r"(?:.*:)?Orientation")
# The luminance table of the JPEG standard (annex K) at quality 50, summed.
_LUMINANCE_SUM = 3688
_LOSSLESS_TIFF = ("raw", "packbits", "zstd", "lzma", *tiff.DIFFERENCED)


def collect(image: Image.Image, data: bytes) -> tuple[Metadata, int, list[str]]:
    """Metadata of a decoded picture, the orientation it was stored in, notes on what is lost.
    `data` is its file, empty where it was handed over in memory."""
    notes: list[str] = []
    segments, end = jpeg.segments(data) if data.startswith(b"\xff\xd8") else ((), None)
    text, turn = _text(image)
    said = _xmp(image, segments, notes)
    turn = said.orientation or turn
    exif = _raw_exif(image, data, segments, notes)
    if exif is not None:
        try:
            exif, turn, odd = exif_bytes.upright(exif, turn)
            if odd:
                notes.append("a damaged field of EXIF in it was left out")
        except (ValueError, struct.error):
            exif = None
            notes.append("EXIF in it could not be read and was left out")
    profile = jpeg.profile(segments) or image.info.get("icc_profile")
    if image.format == "PNG" and not profile:
        profile = png.profile(data)
    if profile and (len(profile) < 128 or profile[36:40] != b"acsp"):
        profile = None
        notes.append("colour profile in it could not be read and was left out")
    notes += _not_kept(image, data, segments, end, said)
    if image.format == "JXL":
        turn = 1  # its decoder has turned it, whatever EXIF says
    numbers = {"PNG": png.colors, "AVIF": headers.nclx, "HEIF": headers.nclx}
    found = Metadata(
        icc_profile=profile or None,
        exif=exif,
        xmp=said.packet,
        text={**said.text, **text},
        dpi=_resolution(image, exif),
        comment=_comment(image, segments),
        photoshop=_photoshop(image, segments),
        png_chunks=numbers[image.format](data) if image.format in numbers else (),
        options=_options(image, data, turned=turn >= 5),
    )
    return found, turn, notes


def _xmp(image: Image.Image, segments: jpeg.Segments, notes: list[str]) -> xmp.Read:
    raw = _raw_xmp(image, segments)
    found = xmp.Read(None, {})
    if raw is None:
        return found
    try:
        found = xmp.read(raw)
        if found.extended:
            found = xmp.read(xmp.merged(raw, jpeg.extension(segments, found.extended)))
    except ValueError:
        some = "a part of XMP" if found.packet else "XMP"
        notes.append(f"{some} in it could not be read and was left out")
    return found


def _not_kept(
    image: Image.Image, data: bytes, segments: jpeg.Segments, end: int | None, said: xmp.Read
) -> list[str]:
    """What of a file no result holds."""
    notes = []
    if jpeg.lacks_scans(segments):
        notes.append("some of its scans are missing, so it is coarser than it was")
    if sum(d.startswith(jpeg.XMP) for m, d in segments if m == 0xE1) > 1:
        notes.append("a second XMP in it is not kept")
    if image.info.get("aux") or image.info.get("depth_images"):
        notes.append("pictures that are stored beside it (gain map, depth) are not kept")
    if said.credentials or headers.credentials(data) or jpeg.joined(segments, 0xEB, b"JP"):
        notes.append("Content Credentials (C2PA) in it are not kept, for they hold no longer")
    behind = jpeg.trailer(data, end) if end is not None and image.format == "JPEG" else ""
    if said.gain_map or jpeg.joined(segments, 0xE2, jpeg.GAIN_MAP):
        notes.append("the HDR gain map that is appended to it is not kept")
    if said.video and "video" not in behind:
        notes.append("the video that is appended to it is not kept")
    if behind:
        notes.append(f"{behind} is not kept")
    if foreign := jpeg.foreign(segments):
        notes.append(f"application data in it is not kept: {', '.join(foreign)}")
    if image.format == "PNG" and (keys := png.repeated(data)):
        notes.append(f"of several texts with the same key only the last is kept: {', '.join(keys)}")
    return notes


def tell_text(metadata: Metadata) -> dict[str, str]:
    """All text of a picture by key, wherever its format keeps it."""
    text = dict(metadata.text)
    if PARAMETERS not in text and metadata.exif:
        comment = exif_bytes.user_comment(metadata.exif)
        if comment and "Steps: " in comment:  # a camera may keep other things there
            text[PARAMETERS] = comment
    return text


def _text(image: Image.Image) -> tuple[dict[str, str], int]:
    """The texts of an upright picture, and the orientation (1..8) that these had said."""
    # PNG text has a place of its own; of a picture handed over, its info is all there is.
    found: Mapping[Any, Any] = getattr(image, "text", image.info)
    text, turn = {}, 1
    for key, value in found.items():
        if not (isinstance(key, str) and isinstance(value, str)) or key in _APART:
            continue
        if _ORIENTATION.fullmatch(key) and value.strip() in tuple("12345678"):
            turn = int(value) if turn == 1 else turn
            value = "1"
        text[key] = value
    return text, turn


def _raw_exif(
    image: Image.Image, data: bytes, segments: jpeg.Segments, notes: list[str]
) -> bytes | None:
    if image.format == "TIFF" and data:
        try:
            return tiff.exif_of(data)
        except ValueError:  # a BigTIFF; whose EXIF the caller then reports as unreadable
            return b""
    if parts := [d[6:] for m, d in segments if m == 0xE1 and d.startswith(jpeg.EXIF)]:
        # What is too long for one segment goes on in others; a second start is another one's.
        rest = [part for part in parts[1:] if part[:4] not in (b"II*\0", b"MM\0*")]
        if len(rest) + 1 < len(parts):
            notes.append("a second EXIF in it is not kept")
        return b"".join([parts[0], *rest])
    if image.info.get("exif"):
        return bytes(image.info["exif"])
    return _raw_profile(image, "exif", "APP1")


def _raw_profile(image: Image.Image, *kinds: str) -> bytes | None:
    """What ImageMagick has put into a text; empty where that is damaged."""
    texts = (image.info.get(png.RAW + kind) for kind in kinds)
    try:
        return next((png.of_raw_profile(text) for text in texts if isinstance(text, str)), None)
    except ValueError:
        return b""


def _raw_xmp(image: Image.Image, segments: jpeg.Segments) -> bytes | None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        data = image.tag_v2.get(tiff.XMP)
    elif segments:
        packets = (d for m, d in segments if m == 0xE1 and d.startswith(jpeg.XMP))
        data = next(packets, b"")[len(jpeg.XMP) :]
    else:
        data = image.info.get(png.XMP_KEY) or image.info.get("xmp")
        data = data or _raw_profile(image, "xmp")
    if isinstance(data, str):
        return data.encode("utf-8", "replace")
    return bytes(data) if isinstance(data, (bytes, tuple, list)) and data else None


def _resolution(image: Image.Image, exif: bytes | None) -> tuple[float, float] | None:
    stated = image.info.get("dpi")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and 282 not in image.tag_v2:
        stated = None  # Pillow says 1
    return _dpi(stated) or (_dpi(exif_bytes.resolution(exif)) if exif else None)


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if all(math.isfinite(v) and 1 <= v <= 65535 for v in (x, y)) else None


def _comment(image: Image.Image, segments: jpeg.Segments) -> str | None:
    found: list[Any] = [d for m, d in segments if m == 0xFE] or [image.info.get("comment")]
    rows: list[str] = []
    for value in found:
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError:
                value = value.decode("latin-1")
        rows += [value.strip("\0")] if isinstance(value, str) else []
    return "\n".join(rows) or None


def _photoshop(image: Image.Image, segments: jpeg.Segments) -> bytes | None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        found = image.tag_v2.get(tiff.PHOTOSHOP)
    else:
        found = jpeg.joined(segments, 0xED, jpeg.PHOTOSHOP) or _raw_profile(image, "8bim", "iptc")
    if not isinstance(found, bytes) or not found:
        return None
    if found.startswith(b"\x1c"):  # IPTC alone
        found = jpeg.resource(1028, found)
    return jpeg.without_thumbnails(found)


def _options(image: Image.Image, data: bytes, *, turned: bool) -> dict[str, Any]:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(image)
        # 4:2:2 halves the width only, so a quarter turn makes another kind of it.
        keeps = sampling in (0, 2) or (sampling == 1 and not turned)
        return {"quality": _quality(image.quantization), "subsampling": sampling if keeps else 0,
                "progressive": bool(image.info.get("progressive"))}  # fmt: skip
    if image.format == "WEBP" and data:
        return {"lossless": headers.webp_lossless(data)}
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
