"""Metadata of TIFF files, which is EXIF that lies in the file's own directory.

Pillow's writer leaves out nested directories when it compresses and turns text into ASCII. So it
writes the pixels alone, and a new directory with everything is put behind them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

XMP, PHOTOSHOP, PREDICTOR = 700, 34377, 317
DIFFERENCED = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate")
"""Compressions that make photographs larger unless PREDICTOR, 2, has them take differences."""
_SHORT, _LONG, _BYTE = 3, 4, 1
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_NESTED = (0x8769, 0x8825, 0xA005)
_STRUCTURE = frozenset((
    *range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 292), 297, 301,
    *range(317, 326), 330, *range(332, 348), *range(512, 522), *range(529, 533), 700,
    34377, 34675, 37724, 50706, 50707, 52545,
))  # fmt: skip
"""Tags that lay out the pixels of one file, or whose contents are kept apart from EXIF."""
_PHOTOMETRIC, _SUBFILES, _DNG_VERSION = 262, 330, 50706
_RAW_COLORS, _RAW_PACKED = (32803, 34892), (32767, 32769, 34713, 65000, 65535)


@dataclass(frozen=True)
class Field:
    """One entry of a directory: its value in little-endian bytes, or the directory it leads to."""

    tag: int
    kind: int
    count: int
    value: bytes
    nested: tuple[Field, ...] = ()

    @property
    def number(self) -> int:
        """The first of them, else 0."""
        return next(iter(self.numbers), 0)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The value as whole numbers; none where it holds others."""
        code = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}.get(self.kind)
        return struct.unpack(f"<{self.count}{code}", self.value) if code and self.value else ()


def exif_of(tiff: bytes, *, without: int = 0) -> bytes | None:
    """What a TIFF file says of its picture, as EXIF, without one tag. Raises: ValueError when it is
    no TIFF."""
    kept = [
        replace(f, nested=tuple(n for n in f.nested if n.tag != without))
        for f in fields(tiff)
        if f.tag not in _STRUCTURE and f.tag != without
    ]
    return b"II*\0\x08\0\0\0" + _block(kept, 8) if kept else None


def raw_kind(tiff: bytes) -> str:
    """Why the first picture in a TIFF file is not the one that it is for; none where it is."""
    try:
        first, numbers = {f.tag: f.number for f in fields(tiff)}, later(tiff)
    except ValueError:
        return ""
    if tiff[8:10] == b"CR" or tiff[8:12] == b"IIII" or _DNG_VERSION in first:
        return "raw"
    if any(n.get(_PHOTOMETRIC) in _RAW_COLORS or n.get(259) in _RAW_PACKED for n in numbers):
        return "raw"
    reduced = first.get(254, 0) & 1 or first.get(255) == 2
    return "thumbnail" if reduced else ""


def cut_short(tiff: bytes) -> bool:
    """Whether pixels or the directory lie beyond the end."""
    try:
        table = {f.tag: f for f in fields(tiff)}
    except ValueError:
        return True
    ends = [0 if table else len(tiff) + 1]
    for starts, sizes in ((273, 279), (324, 325)):
        if starts in table and sizes in table:
            at, size = table[starts].numbers, table[sizes].numbers
            ends += [a + b for a, b in zip(at, size, strict=False)]
    return max(ends) > len(tiff)


def of_deep(deep: npt.NDArray[np.uint16], compression: str) -> tuple[Image.Image, list[Field]]:
    """What Pillow is to write so that with these fields it is a picture of `[H, W, 1, 3 or 4]`,
    grey, RGB, or RGBA at 16 bits, of which it has no mode: their bytes as grey levels."""
    height, width, channels = deep.shape
    values = deep.copy()
    if compression in DIFFERENCED:
        values[:, 1:] -= deep[:, :-1]
    rows = values.astype("<u2").reshape(height, -1).view(np.uint8)
    numbers = {256: width, 262: 2 if channels > 1 else 1, 277: channels}
    numbers |= {PREDICTOR: 2} if compression in DIFFERENCED else {}
    numbers |= {338: 2} if channels == 4 else {}
    fields = [Field(tag, _LONG, 1, struct.pack("<I", n)) for tag, n in numbers.items()]
    return Image.fromarray(rows), [*fields, Field(258, _SHORT, channels, b"\x10\0" * channels)]


def with_metadata(
    tiff: bytes, exif: bytes | None, xmp: bytes | None, photoshop: bytes | None,
    layout: Iterable[Field],
) -> bytes:  # fmt: skip
    """A TIFF file of pixels, with metadata put behind them, and other fields for their layout."""
    if tiff[:2] != b"II":  # what Pillow writes on big-endian machines; nothing is added there
        return tiff
    table = {f.tag: f for f in (fields(exif) if exif else ()) if f.tag not in _STRUCTURE}
    table |= {tag: Field(tag, _BYTE, len(data), data)
              for tag, data in ((XMP, xmp), (PHOTOSHOP, photoshop)) if data}  # fmt: skip
    own = {tag for tag, *_ in entries(tiff)}
    new = {tag: field for tag, field in table.items() if tag not in own}
    return edited(tiff, {**new, **{field.tag: field for field in layout}})


def fields(data: bytes) -> tuple[Field, ...]:
    """Of the first directory. Raises: ValueError when there is none."""
    return _directory(data, *_start(data), depth=0)


def entries(data: bytes) -> list[tuple[int, int, int]]:
    """Tag, type and count of the first directory's entries. Raises: ValueError."""
    order, at = _start(data)
    return [struct.unpack_from(order + "HHI", data, place) for place in _places(data, order, at)]


def is_cut(data: bytes) -> bool:
    """Whether some of the first directory's entries are missing. Raises: ValueError."""
    order, at = _start(data)
    (count,) = struct.unpack_from(order + "H", data, at)
    return len(_places(data, order, at)) < int(count)


def edited(data: bytes, changes: Mapping[int, Field | None], under: int = 0) -> bytes:
    """TIFF data whose first directory, or that to which the tag `under` leads, has these fields
    too, or (None) one less. Nothing else moves: makers' notes hold offsets in private layouts. No
    directory follows the changed one. Raises: ValueError when there is no directory."""
    order, at = _start(data)
    out = bytearray(data)
    if under:
        rows = {struct.unpack_from(order + "H", data, p)[0]: p for p in _places(data, order, at)}
        at = struct.unpack_from(order + "I", data, rows[under] + 8)[0] if under in rows else 0
    places = _places(data, order, at)
    table = {struct.unpack_from(order + "H", data, p)[0]: data[p : p + 12] for p in places[::-1]}
    for tag, field in changes.items():
        if field is None:
            table.pop(tag, None)
            continue
        value = _little(field.value, field.kind, order)
        if field.nested or len(value) > 4:
            out += bytes(len(out) % 2)
            value = _block(field.nested, len(out)) if field.nested else value
            place = struct.pack(order + "I", len(out))
            out += value
            value = place
        table[tag] = struct.pack(order + "HHI", tag, field.kind, field.count) + value.ljust(
            4, b"\0"
        )
    block = struct.pack(order + "H", len(table)) + b"".join(table[tag] for tag in sorted(table))
    if places and len(table) <= len(places):
        old = slice(at, at + 2 + 12 * len(places) + 4)
        out[old] = block.ljust(old.stop - at, b"\0")
        return bytes(out)
    out += bytes(len(out) % 2)
    new = struct.pack("<I", len(out))
    out += block + bytes(4)
    if under:
        return edited(bytes(out), {under: Field(under, _LONG, 1, new)})
    out[4:8] = _little(new, _LONG, order)
    return bytes(out)


def _start(data: bytes) -> tuple[str, int]:
    """The byte order, and where the first directory is."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        raise ValueError("no TIFF header")
    at = struct.unpack_from(order + "I", data, 4)[0]
    if not 8 <= at <= len(data) - 2:
        raise ValueError("the directory is out of bounds")
    return order, at


def _places(data: bytes, order: str, at: int) -> range:
    """Where the whole entries of a directory are."""
    if not 8 <= at <= len(data) - 2:
        return range(0)
    end = at + 2 + 12 * struct.unpack_from(order + "H", data, at)[0]
    return range(at + 2, min(end, len(data) - 11), 12)


def _directory(data: bytes, order: str, at: int, depth: int) -> tuple[Field, ...]:
    """The fields at `at`, save those that point out of the file or are of an unknown type."""
    found = []
    for place in _places(data, order, at) if depth <= 2 else ():
        tag, kind, number, offset = struct.unpack_from(order + "HHII", data, place)
        if tag in _NESTED:
            if nested := _directory(data, order, offset, depth + 1):
                found.append(Field(tag, _LONG, 1, b"", nested))
            continue
        size = _SIZES.get(kind, 0) * number
        start = offset if size > 4 else place + 8
        if size and start + size <= len(data):
            value = _little(data[start : start + size], kind, order)
            found.append(Field(tag, kind, number, value))
    return tuple(found)


def has_pages(data: bytes) -> bool:
    """Whether another directory follows the first. Raises: ValueError."""
    order, at = _start(data)
    end = at + 2 + 12 * int(struct.unpack_from(order + "H", data, at)[0])
    return len(data) >= end + 4 and bool(struct.unpack_from(order + "I", data, end)[0])


def later(data: bytes) -> list[dict[int, int]]:
    """The numbers in all directories, also those behind and below the first."""
    order, first = _start(data)
    found: list[dict[int, int]] = []
    waiting, seen = [first], {0}
    while waiting and len(seen) < 100:
        at = waiting.pop()
        if at in seen or not 8 <= at <= len(data) - 2:
            continue
        seen.add(at)
        there = _directory(data, order, at, depth=0)
        found.append({f.tag: f.number for f in there})
        waiting += [n for f in there if f.tag == _SUBFILES for n in f.numbers]
        end = at + 2 + 12 * struct.unpack_from(order + "H", data, at)[0]
        waiting += struct.unpack_from(order + "I", data, end) if end <= len(data) - 4 else ()
    return found


def _little(value: bytes, kind: int, order: str) -> bytes:
    unit = _UNITS.get(kind, 1)
    if order == "<" or unit == 1:
        return value
    return b"".join(value[i : i + unit][::-1] for i in range(0, len(value), unit))


def _block(fields: Iterable[Field], at: int) -> bytes:
    """The directory as it is written at offset `at`, its values behind it."""
    rows = list(fields)
    behind = at + 2 + 12 * len(rows) + 4
    head, tail = [struct.pack("<H", len(rows))], bytearray()
    for field in rows:
        value = field.value
        if field.nested:
            value = _block(field.nested, behind + len(tail))
        if field.nested or len(value) > 4:
            place = struct.pack("<I", behind + len(tail))
            tail += value + bytes(len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        head.append(struct.pack("<HHI", field.tag, field.kind, field.count) + place)
    return b"".join([*head, bytes(4), tail])
