"""EXIF, changed in place.

EXIF is a small TIFF file whose values sit at absolute offsets, and camera makers' notes hold such
offsets in private layouts. Writing it anew moves them and loses what the writer does not know, so
here single fields are overwritten where they stand, and new ones are added at the end."""

from __future__ import annotations

import struct

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_WIDTH, _HEIGHT = 0xA002, 0xA003
_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_THUMBNAIL, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7
_EMPTY = b"MM\0*\0\0\0\x08" + bytes(6)
_UNICODE = b"UNICODE\0"


def upright(exif: bytes, turn: int = 1) -> tuple[bytes, int]:
    """EXIF for upright pixels, and the orientation (1..8) that it had.

    `turn` is used where the EXIF has no orientation of its own. The thumbnail goes, for it would
    show the picture as it was. Raises: ValueError when this is no EXIF."""
    data = bytearray(_bare(exif))
    order = _order(data)
    ifd = _first_ifd(data, order)
    entries, next_at = _entries(data, order, ifd)
    orientation = _number(data, order, entries.get(_ORIENTATION)) or turn
    if not 1 <= orientation <= 8:
        orientation = 1
    if _ORIENTATION in entries:
        struct.pack_into(order + "HIHH", data, entries[_ORIENTATION] + 2, _SHORT, 1, 1, 0)
    if orientation >= 5:
        _swap_size(data, order, _number(data, order, entries.get(_EXIF_IFD)))
    _drop_thumbnail(data, order, next_at)
    return bytes(data), orientation


def user_comment(exif: bytes) -> str | None:
    """The comment, which is where sd-webui keeps generation parameters in JPEG and WebP."""
    try:
        data, order, entries = _opened(_bare(exif))
        entries, _ = _entries(data, order, _number(data, order, entries.get(_EXIF_IFD)) or 0)
        at = entries[_USER_COMMENT]
        _, _, count, offset = struct.unpack_from(order + "HHII", data, at)
    except (ValueError, KeyError):
        return None
    value = bytes(data[offset : offset + count])
    body = value[8:]
    if value.startswith(_UNICODE):
        # The standard leaves the byte order open. Of sd-webui's text, half the bytes are zero:
        # the first ones in big-endian order, which is what it writes.
        codec = "utf-16-be" if body[::2].count(0) >= body[1::2].count(0) else "utf-16-le"
        text = body.decode(codec, "replace")
    else:
        text = body.decode("utf-8", "replace")
    return text.strip("\0 ") or None


def with_user_comment(exif: bytes | None, text: str) -> bytes:
    """EXIF with `text` as its comment, readable by sd-webui."""
    data = bytearray(exif or _EMPTY)
    order = _order(data)
    value = _UNICODE + text.encode("utf-16-be", "replace")
    value_at = _append(data, value)
    comment = struct.pack(order + "HHII", _USER_COMMENT, _UNDEFINED, len(value), value_at)
    ifd = _first_ifd(data, order)
    entries, _ = _entries(data, order, ifd)
    pointer = entries.get(_EXIF_IFD)
    if pointer is not None:
        new = _grown(data, order, _number(data, order, pointer) or 0, comment)
        struct.pack_into(order + "HII", data, pointer + 2, _LONG, 1, new)
    else:
        new = _append(data, struct.pack(order + "H", 1) + comment + bytes(4))
        entry = struct.pack(order + "HHII", _EXIF_IFD, _LONG, 1, new)
        struct.pack_into(order + "I", data, 4, _grown(data, order, ifd, entry))
    return bytes(data)


def resolution(exif: bytes) -> tuple[float, float] | None:
    """Dots per inch, for formats that have no other place for it."""
    data, order, entries = _opened(exif)
    unit = _number(data, order, entries.get(_RESOLUTION_UNIT)) or 2
    found = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        at = struct.unpack_from(order + "I", data, entries[tag] + 8)[0] if tag in entries else 0
        if not 8 <= at <= len(data) - 8:
            return None
        over, under = struct.unpack_from(order + "II", data, at)
        found.append(over / under * (2.54 if unit == 3 else 1) if under else 0.0)
    return found[0], found[1]


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """EXIF that states dots per inch, unless it states something already."""
    data, order, entries = _opened(exif or _EMPTY)
    if _X_RESOLUTION in entries:
        return bytes(data)
    unit = struct.pack(order + "HHIHH", _RESOLUTION_UNIT, _SHORT, 1, 2, 0)
    rows = [unit]
    for tag, value in zip((_X_RESOLUTION, _Y_RESOLUTION), dpi, strict=True):
        at = _append(data, struct.pack(order + "II", round(value * 100), 100))
        rows.append(struct.pack(order + "HHII", tag, _RATIONAL, 1, at))
    new = _grown(data, order, _first_ifd(data, order), *rows)
    struct.pack_into(order + "I", data, 4, new)
    return bytes(data)


def with_size(exif: bytes, size: tuple[int, int]) -> bytes:
    """EXIF whose fields for the picture's size, as many as there are, say `size`."""
    data, order, first = _opened(exif)
    try:
        second, _ = _entries(data, order, _number(data, order, first.get(_EXIF_IFD)) or 0)
    except ValueError:
        second = {}
    tables = ((first, _TIFF_WIDTH, _TIFF_HEIGHT), (second, _WIDTH, _HEIGHT))
    for entries, *tags in tables:
        for tag, value in zip(tags, size, strict=True):
            if tag in entries:
                # A short may be too short for it; a long takes no more room.
                struct.pack_into(order + "HII", data, entries[tag] + 2, _LONG, 1, value)
    return bytes(data)


def _opened(exif: bytes) -> tuple[bytearray, str, dict[int, int]]:
    """A copy, its byte order, and the entries of its first directory."""
    data = bytearray(exif)
    order = _order(data)
    return data, order, _entries(data, order, _first_ifd(data, order))[0]


def _bare(exif: bytes) -> bytes:
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return exif


def _order(data: bytearray) -> str:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None:
        raise ValueError("no EXIF header")
    return order


def _first_ifd(data: bytearray, order: str) -> int:
    if len(data) < 8:
        raise ValueError("EXIF is cut short")
    return int(struct.unpack_from(order + "I", data, 4)[0])


def _entries(data: bytearray, order: str, at: int) -> tuple[dict[int, int], int]:
    """Where each tag's entry is, and where the offset of the next directory is."""
    if not 8 <= at <= len(data) - 2:
        raise ValueError("an EXIF directory is out of bounds")
    count = struct.unpack_from(order + "H", data, at)[0]
    end = at + 2 + 12 * count
    if end > len(data):
        raise ValueError("an EXIF directory is cut short")
    places = range(at + 2, end, 12)
    return {struct.unpack_from(order + "H", data, p)[0]: p for p in places}, end


def _number(data: bytearray, order: str, at: int | None) -> int | None:
    """The value of an entry that holds one whole number."""
    if at is None:
        return None
    kind = struct.unpack_from(order + "H", data, at + 2)[0]
    code = {_SHORT: "H", _LONG: "I"}.get(kind)
    return int(struct.unpack_from(order + code, data, at + 8)[0]) if code else None


def _swap_size(data: bytearray, order: str, ifd: int | None) -> None:
    """A picture turned by a quarter swaps the width and height that its EXIF states."""
    try:
        entries, _ = _entries(data, order, ifd or 0)
    except ValueError:
        return
    if _WIDTH in entries and _HEIGHT in entries:
        # Type, count and value move together, for one may be a short and the other a long.
        a, b = (slice(entries[tag] + 2, entries[tag] + 12) for tag in (_WIDTH, _HEIGHT))
        data[a], data[b] = data[b], data[a]


def _drop_thumbnail(data: bytearray, order: str, next_at: int) -> None:
    if next_at + 4 > len(data):
        return
    ifd = struct.unpack_from(order + "I", data, next_at)[0]
    struct.pack_into(order + "I", data, next_at, 0)
    try:
        entries, _ = _entries(data, order, ifd)
    except ValueError:
        return
    start = _number(data, order, entries.get(_THUMBNAIL)) or 0
    length = _number(data, order, entries.get(_THUMBNAIL_LENGTH)) or 0
    # Nothing refers to the bytes any more. They are taken out only where they lie last, as they
    # usually do, for elsewhere that would move what follows them.
    if ifd < start and start + length == len(data):
        del data[start:]


def _append(data: bytearray, block: bytes) -> int:
    if len(data) % 2:
        data.append(0)
    at = len(data)
    data += block
    return at


def _grown(data: bytearray, order: str, ifd: int, *added: bytes) -> int:
    """Append a copy of the directory with more entries; directories are sorted by tag."""
    try:
        old, _ = _entries(data, order, ifd)
    except ValueError:
        old = {}
    table = {tag: bytes(data[p : p + 12]) for tag, p in old.items()}
    table |= {struct.unpack_from(order + "H", entry)[0]: entry for entry in added}
    block = struct.pack(order + "H", len(table)) + b"".join(table[t] for t in sorted(table))
    return _append(data, block + bytes(4))
