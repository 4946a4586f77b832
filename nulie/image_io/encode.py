"""One function per format: what to hand to Pillow so that the file holds all that it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageChops, PngImagePlugin

from . import exif as exif_bytes
from . import headers, icc, jpeg, png, tiff
from . import xmp as xmp_packet
from .metadata import PARAMETERS, SCORE_KEY, tell_text
from .photo import Deep, Metadata, Photo

NO_ALPHA = ("JPEG", "BMP")
LARGEST = {"JPEG": 65500, "WEBP": 16383}
"""Pixels a side, where a format has a limit."""
_LEAST_QUALITY, _BEST_QUALITY = 90, 95
_EXIF_ROOM = jpeg.ROOM - len(jpeg.EXIF)

_LOSSLESS = ("PNG", "TIFF", "BMP", "GIF")
DEEP = ("PNG", "TIFF")
"""Formats that hold 16 bits a channel."""
_PROFILE_ROOM = 1 << 20
"""Bytes of a colour profile in a PNG, over which Pillow does not open it."""


def merged_text(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Without what an earlier run of nulie said of the picture, and the score that it had."""
    gone = {key for key in old if key in ("nulie", SCORE_KEY) or key.startswith("nulie ")}
    return {**{key: old[key] for key in old if not (new and key in gone)}, **new}


def assembled(photo: Photo, pixels: Image.Image, modes: set[str]) -> Image.Image:
    """Pixels and alpha in the first of `modes` that loses nothing."""
    if photo.grey and "L" in modes:
        red, green, blue = pixels.split()
        if all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue)):
            pixels = red  # not convert("L"): its weighted sum is for colours
    if photo.alpha is None or not modes & {"LA", "RGBA"}:
        return pixels
    mode = pixels.mode + "A"
    if mode not in modes:
        pixels, mode = pixels.convert("RGB"), "RGBA"
    return Image.merge(mode, (*pixels.split(), photo.alpha))


def profile_for(metadata: Metadata, image: Image.Image) -> bytes | None:
    """The colour profile, or one of what other formats say in numbers, unless it is one for grey
    and the picture is written in colour."""
    grey = image.mode in ("L", "LA")
    profile = metadata.icc_profile or icc.of_chunks(dict(metadata.png_chunks), grey=grey)
    if profile and profile[16:20] == b"GRAY" and image.mode not in ("L", "LA"):
        return None
    return profile


def _jpeg(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    metadata = photo.metadata
    own = metadata.options if photo.format == "JPEG" else {}
    exif, packet = _tagged(metadata, keeps_comment=True, room=_EXIF_ROOM)
    packet, digest, rest = xmp_packet.split(packet or b"", jpeg.ROOM - len(jpeg.XMP))
    extra = jpeg.put(0xE1, jpeg.XMP, packet) + jpeg.put_extension(digest, rest)
    extra += jpeg.put(0xED, jpeg.PHOTOSHOP, metadata.photoshop or b"")
    extra += jpeg.put(0xFE, b"", (metadata.comment or "").encode("utf-8", "replace"))
    return {"quality": quality or max(_LEAST_QUALITY, own.get("quality", _BEST_QUALITY)),
            "subsampling": own.get("subsampling", 0), "progressive": own.get("progressive", False),
            "extra": extra, "exif": jpeg.EXIF + exif if exif else b"", "comment": b""}  # fmt: skip


def _png(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    metadata, chunks = photo.metadata, PngImagePlugin.PngInfo()
    for key, value in _with_comment(tell_text(metadata), metadata).items():
        # Keys are Latin-1 and at most 79 bytes long.
        name = key.encode("latin-1", "replace")[:79].decode("latin-1")
        if name:
            chunks.add_text(name, value)
    if metadata.xmp:
        chunks.add_itxt(png.XMP_KEY, metadata.xmp.decode("utf-8", "replace"))
    if metadata.photoshop:
        digits = png.raw_profile("iptc", metadata.photoshop)
        # Readers bound what they inflate.
        chunks.add_text(f"{png.RAW}iptc", digits, zip=len(digits) < _PROFILE_ROOM)
    return {"pnginfo": chunks, "exif": metadata.exif or b""}


def _webp(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    exif, packet = _tagged(photo.metadata, states_dpi=True)
    lossless = photo.metadata.options.get("lossless", photo.format in _LOSSLESS)
    exact = lossless and quality is None
    how = {"lossless": True} if exact else {"quality": quality or _BEST_QUALITY}
    return {"exif": exif or b"", "xmp": packet or b"", "exact": True, **how}


def _tiff(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    compression = photo.metadata.options.get("compression", "tiff_lzw")
    predictor = {tiff.PREDICTOR: 2} if compression in tiff.DIFFERENCED else {}
    return {"compression": compression, "tiffinfo": predictor}


def _avif(photo: Photo, image: Image.Image, quality: int | None) -> dict[str, Any]:
    exif, packet = _tagged(photo.metadata, states_dpi=True)
    # The quality is alpha's too, and only the best leaves it untouched.
    quality = 100 if photo.transparent else quality or _LEAST_QUALITY
    tags = {"exif": exif or b"", "xmp": packet or b"", "quality": quality}
    return {**tags, "subsampling": "4:0:0" if image.mode == "L" else "4:4:4"}


_FORMATS: Mapping[str, tuple[set[str], Callable[..., dict[str, Any]]]] = {
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
    metadata, layout = photo.metadata, None
    deep = _deep(photo, format) if pixels is photo.pixels and format in DEEP else None
    numbers = dict(metadata.png_chunks)
    image = assembled(photo, pixels, modes)
    own = format == "PNG" and numbers
    profile = metadata.icc_profile if own else profile_for(metadata, image)
    if profile and (format == "BMP" or _too_large(metadata, format)):
        # In whose info lcms puts the profile of sRGB, for a format that has room for one.
        image, profile, deep = icc.in_srgb(image, profile) or image, None, None
        photo = replace(photo, metadata=replace(metadata, png_chunks=()))
    chosen = options(photo, image, quality)
    if deep is not None and format == "PNG":
        image = Image.new(image.mode, (1, 1))
    elif deep is not None:
        image, layout = tiff.of_deep(deep, chosen["compression"])
        chosen["tiffinfo"] = {}  # the differences are taken
    known = {"icc_profile": profile, "dpi": metadata.dpi}
    # In memory, for Pillow's encoders hide why a disk refused to take their bytes.
    stream = BytesIO()
    image.save(stream, format, **chosen, **{name: value for name, value in known.items() if value})
    data = stream.getvalue()
    if format == "PNG":
        return png.completed(data, photo.metadata.png_chunks, deep)
    if format == "AVIF" and b"cICP" in numbers:
        return headers.with_nclx(data, numbers[b"cICP"])
    if format != "TIFF":
        return data
    exif, packet = _tagged(metadata)
    return tiff.with_metadata(data, exif, packet, metadata.photoshop, layout or ())


def _too_large(metadata: Metadata, format: str) -> bool:
    return format == "PNG" and len(metadata.icc_profile or b"") >= _PROFILE_ROOM


def _deep(photo: Photo, format: str) -> Deep | None:
    """`[H, W, C]`, grey where the photo was and still is."""
    deep = photo.deep
    if deep is None or not np.little_endian:  # where Pillow's TIFF files are laid out otherwise
        return None
    has_room = format == "PNG" or photo.alpha is None
    grey = photo.grey and has_room and (deep[..., :2] == deep[..., 1:3]).all()
    return deep[..., 2:] if grey else deep


def left_out(photo: Photo, format: str) -> list[str]:
    """What of a photo's metadata a format has no room for, in words."""
    metadata = photo.metadata
    notes = []
    if photo.deep is not None and format not in DEEP:
        notes.append(f"{format} keeps 8 of the photo's 16 bits per channel")
    if format == "BMP":
        return [*notes, "BMP has no room for the recipe or other metadata"]
    if _too_large(metadata, format):
        notes.append("the colour profile is too large for PNG; the colours are converted to sRGB")
    if format == "JPEG":
        if lost := exif_bytes.fitted(metadata.exif or b"", _EXIF_ROOM)[1]:
            notes.append(f"JPEG has no room for so much EXIF: without {', '.join(lost)}")
        if PARAMETERS in _with_parameters(metadata, _EXIF_ROOM)[1]:
            notes.append("the EXIF comment has no room for the parameters; they stand in XMP alone")
    if format in ("WEBP", "AVIF") and metadata.photoshop:
        notes.append(f"{format} has no room for Photoshop's captions and credits (IPTC)")
    transfer = dict(metadata.png_chunks).get(b"cICP", b"\0\0")[1]
    if transfer in icc.HDR and format not in ("PNG", "AVIF"):
        notes.append(f"{format} cannot say that the colours are HDR; they will look pale")
    return notes


def _with_comment(text: Mapping[str, str], metadata: Metadata) -> dict[str, str]:
    comment = {"Comment": metadata.comment} if metadata.comment else {}
    return {**comment, **text}


def _tagged(
    metadata: Metadata, *, keeps_comment: bool = False, states_dpi: bool = False,
    room: int | None = None,
) -> tuple[bytes | None, bytes | None]:  # fmt: skip
    """EXIF, in `room` bytes, and XMP that hold the text too, for formats without text chunks."""
    exif, text = _with_parameters(metadata, room)
    if not keeps_comment:
        text = _with_comment(text, metadata)
    if states_dpi and metadata.dpi:
        exif = exif_bytes.with_resolution(exif, metadata.dpi)
    return exif, xmp_packet.put_text(metadata.xmp, text) if text else metadata.xmp


def _with_parameters(
    metadata: Metadata, room: int | None = None
) -> tuple[bytes | None, dict[str, str]]:
    """EXIF in `room` bytes with the parameters as its comment, where these find a place there, and
    the texts that are not in it."""
    exif, text = metadata.exif, dict(metadata.text)
    if exif and room is not None:
        exif = exif_bytes.fitted(exif, room)[0]
    if PARAMETERS in text:
        comment = exif_bytes.user_comment(exif) if exif else None
        if comment is None:
            longer = exif_bytes.with_user_comment(exif, text[PARAMETERS])
            if room is None or len(longer) <= room:
                exif, comment = longer, text[PARAMETERS]
        if comment == text[PARAMETERS]:
            del text[PARAMETERS]
    return exif, text
