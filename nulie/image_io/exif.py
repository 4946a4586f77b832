"""EXIF as it is to be for upright pixels, for another size, with a comment or a resolution.

It is a small TIFF file; `tiff.edited` changes single fields of it where they stand."""

from __future__ import annotations

import struct
from dataclasses import replace

from PIL import ExifTags

from . import tiff
from .tiff import Field

_ORIENTATION, _DIRECTORY, _USER_COMMENT = 0x0112, 0x8769, 0x9286
_SIZE, _TIFF_SIZE = (0xA002, 0xA003), (0x0100, 0x0101)
_UNIT, _RESOLUTIONS = 0x0128, (0x011A, 0x011B)
_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7
_EMPTY = b"MM\0*\0\0\0\x08" + bytes(6)
_UNICODE = b"UNICODE\0"


def upright(exif: bytes, turn: int = 1) -> tuple[bytes, int, bool]:
    """EXIF for upright pixels, the orientation (1..8) that it had, else `turn`, and whether damage
    in it was left out. The thumbnail goes, for it would show the picture as it was.

    Raises: ValueError when this is no EXIF."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    found = tiff.fields(exif)
    said = [f.number for f in found if f.tag == _ORIENTATION and 1 <= f.number <= 8]
    orientation = said[0] if said else turn
    one = Field(_ORIENTATION, _SHORT, 1, b"\1\0")
    kinds = {_UNIT: _SHORT, **dict.fromkeys(_RESOLUTIONS, _RATIONAL)}
    # Readers give up over a resolution in a type that it cannot have.
    odd: dict[int, Field | None] = {
        tag: None for tag, kind, count in tiff.entries(exif)
        if tag in kinds and (kind, count) != (kinds[tag], 1)
    }  # fmt: skip
    if any(f.tag == _UNIT and f.number not in (1, 2, 3) for f in found):
        odd[_UNIT] = None
    was_damaged = bool(odd) or tiff.is_cut(exif)
    for numbers in tiff.later(exif):
        start, length = numbers.get(0x0201, 0), numbers.get(0x0202, 0)
        # Elsewhere than at the end taking it out would move what follows it.
        if 8 < start == len(exif) - length and tiff.fields(exif[:start]) == found:
            exif = exif[:start]
    if any(tag == _ORIENTATION for tag, *_ in tiff.entries(exif)):
        odd[_ORIENTATION] = one
    exif = tiff.edited(exif, odd)
    inside = _nested(found)
    changes = {_ORIENTATION: one} if _ORIENTATION in inside else {}
    if orientation >= 5 and inside.keys() >= set(_SIZE):
        a, b = _SIZE
        changes |= {a: replace(inside[b], tag=a), b: replace(inside[a], tag=b)}
    if changes:
        exif = tiff.edited(exif, changes, under=_DIRECTORY)
    return exif, orientation, was_damaged


def fitted(exif: bytes, room: int) -> tuple[bytes | None, tuple[str, ...]]:
    """EXIF in `room` bytes, and the names of what that leaves out: the largest values."""
    lost: list[str] = []
    while exif and len(exif) > room:
        fields = tiff.fields(exif)
        sizes = [(len(f.value), f.tag) for g in fields for f in (g.nested or (g,))]
        if not sizes:
            return None, ("EXIF",)
        largest = max(sizes)[1]
        lost.append(ExifTags.TAGS.get(largest, f"tag {largest}"))
        exif = tiff.exif_of(exif, without=largest) or b""
    return exif or None, tuple(lost)


def user_comment(exif: bytes) -> str | None:
    """The comment, which is where sd-webui keeps generation parameters in JPEG and WebP."""
    try:
        value = _nested(tiff.fields(exif))[_USER_COMMENT].value
    except (ValueError, KeyError):
        return None
    body, codec = value[8:], "utf-8"
    # UTF-8 is what EXIF 3 allows under this name. Of text in UTF-16 many bytes are zero.
    plain = 0 not in body and body.decode("utf-8", "ignore").encode() == body
    if value.startswith(_UNICODE) and not plain:
        # The standard leaves the byte order open. Of sd-webui's text, half the bytes are zero:
        # the first ones in big-endian order, which is what it writes.
        codec = "utf-16-be" if body[::2].count(0) >= body[1::2].count(0) else "utf-16-le"
    return body.decode(codec, "replace").strip("\0 ") or None


def with_user_comment(exif: bytes | None, text: str) -> bytes:
    """EXIF with `text` as its comment, readable by sd-webui."""
    value = _UNICODE + text.encode("utf-16-be", "replace")
    field = Field(_USER_COMMENT, _UNDEFINED, len(value), value)
    return tiff.edited(exif or _EMPTY, {_USER_COMMENT: field}, under=_DIRECTORY)


def resolution(exif: bytes) -> tuple[float, float] | None:
    """Dots per inch, for formats that have no other place for it."""
    first = _first(tiff.fields(exif))
    scale = 2.54 if _UNIT in first and first[_UNIT].number == 3 else 1
    found = [first[tag] for tag in _RESOLUTIONS if tag in first]
    if [(field.kind, field.count) for field in found] != [(_RATIONAL, 1)] * 2:
        return None
    x, y = (struct.unpack("<II", field.value) for field in found)
    return (x[0] / x[1] * scale if x[1] else 0.0), (y[0] / y[1] * scale if y[1] else 0.0)


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """EXIF that states dots per inch, unless it states something already."""
    exif = exif or _EMPTY
    if _RESOLUTIONS[0] in _first(tiff.fields(exif)):
        return exif
    rows = [Field(_UNIT, _SHORT, 1, b"\2\0")]
    for tag, value in zip(_RESOLUTIONS, dpi, strict=True):
        rows.append(Field(tag, _RATIONAL, 1, struct.pack("<II", round(value * 100), 100)))
    return tiff.edited(exif, {field.tag: field for field in rows})


def with_size(exif: bytes, size: tuple[int, int], grown: tuple[float, float] = (1.0, 1.0)) -> bytes:
    """EXIF whose fields for the picture's size, as many as there are, say `size`, and those for its
    resolution as many times as much as it has `grown`, so that prints keep their size."""
    found = tiff.fields(exif)
    finer = {
        field.tag: Field(field.tag, _RATIONAL, 1, _times(field.value, by))
        for tag, by in zip(_RESOLUTIONS, grown, strict=True)
        if by != 1
        and (field := _first(found).get(tag))
        and (field.kind, field.count) == (_RATIONAL, 1)
    }
    if finer:
        exif = tiff.edited(exif, finer)
    for there, tags, under in ((_first(found), _TIFF_SIZE, 0), (_nested(found), _SIZE, _DIRECTORY)):
        pairs = [(tag, struct.pack("<I", v)) for tag, v in zip(tags, size, strict=True)]
        changes = {tag: Field(tag, _LONG, 1, value) for tag, value in pairs if tag in there}
        if changes:
            exif = tiff.edited(exif, changes, under=under)
    return exif


def _times(rational: bytes, by: float) -> bytes:
    above, below = struct.unpack("<II", rational)
    return struct.pack("<II", min(round(100 * above / max(below, 1) * by), 2**32 - 1), 100)


def _first(fields: tuple[Field, ...]) -> dict[int, Field]:
    # Of several for one tag the first counts, as it does for others.
    return {field.tag: field for field in reversed(fields)}


def _nested(fields: tuple[Field, ...]) -> dict[int, Field]:
    directory = _first(fields).get(_DIRECTORY)
    return _first(directory.nested) if directory else {}
