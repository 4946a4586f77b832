"""EXIF, changed in place.

EXIF is a small TIFF file whose values sit at absolute offsets, and camera makers' notes hold such
offsets in private layouts. Writing it anew moves them and loses what the writer does not know, so
here single fields are overwritten where they stand, and new ones are added at the end."""

from __future__ import annotations

import struct

from PIL import ExifTags

from . import tiff

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_WIDTH, _HEIGHT = 0xA002, 0xA003
_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_THUMBNAIL, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7
_CODES = {1: "B", _SHORT: "H", _LONG: "I", 6: "b", 8: "h", 9: "i"}
_EMPTY = b"MM\0*\0\0\0\x08" + bytes(6)
_UNICODE = b"UNICODE\0"


def upright(exif: bytes, turn: int = 1) -> tuple[bytes, int, bool]:
    """EXIF for upright pixels, the orientation (1..8) that it had, else `turn`, and whether damage
    in it was left out. The thumbnail goes, for it would show the picture as it was.

    Raises: ValueError when this is no EXIF."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    fields = _Exif(exif)
    places = fields.places(_ORIENTATION)
    said = [n for n in map(fields.number, places) if n and n <= 8]
    orientation = said[0] if said else turn
    for place in (
        *places,
        *fields.places(_ORIENTATION, fields.number(fields.first.get(_EXIF_IFD))),
    ):
        fields.put("HIHH", place + 2, _SHORT, 1, 1, 0)
    second = fields.second()
    if orientation >= 5 and _WIDTH in second and _HEIGHT in second:
        # A quarter turn. Type, count and value move together, for one may be a short, one a long.
        a, b = (slice(second[tag] + 2, second[tag] + 12) for tag in (_WIDTH, _HEIGHT))
        fields.data[a], fields.data[b] = fields.data[b], fields.data[a]
    fields.drop_thumbnail()
    odd = fields.drop_odd_resolution()
    return bytes(fields.data), orientation, odd or fields.was_cut


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
        fields = _Exif(exif)
        at = fields.second()[_USER_COMMENT]
    except (ValueError, KeyError):
        return None
    count, offset = fields.read("II", at + 4)
    value = bytes(fields.data[offset : offset + count])
    body, codec = value[8:], "utf-8"
    if value.startswith(_UNICODE) and not (0 not in body and _is_utf_8(body)):
        # The standard leaves the byte order open. Of sd-webui's text, half the bytes are zero:
        # the first ones in big-endian order, which is what it writes.
        codec = "utf-16-be" if body[::2].count(0) >= body[1::2].count(0) else "utf-16-le"
    return body.decode(codec, "replace").strip("\0 ") or None


def _is_utf_8(body: bytes) -> bool:
    # As EXIF 3 allows under this name. Half the bytes of text in UTF-16 are zero, or many are.
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def with_user_comment(exif: bytes | None, text: str) -> bytes:
    """EXIF with `text` as its comment, readable by sd-webui."""
    fields = _Exif(exif or _EMPTY)
    value = _UNICODE + text.encode("utf-16-be", "replace")
    value_at = fields.append(value)
    comment = fields.pack("HHII", _USER_COMMENT, _UNDEFINED, len(value), value_at)
    pointer = fields.first.get(_EXIF_IFD)
    if pointer is not None:
        fields.put("HII", pointer + 2, _LONG, 1, fields.grow(fields.number(pointer) or 0, comment))
    else:
        new = fields.append(fields.pack("H", 1) + comment + bytes(4))
        fields.grow_first(fields.pack("HHII", _EXIF_IFD, _LONG, 1, new))
    return bytes(fields.data)


def resolution(exif: bytes) -> tuple[float, float] | None:
    """Dots per inch, for formats that have no other place for it."""
    fields = _Exif(exif)
    scale = 2.54 if fields.number(fields.first.get(_RESOLUTION_UNIT)) == 3 else 1
    found = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        (at,) = fields.read("I", fields.first[tag] + 8) if tag in fields.first else (0,)
        if not 8 <= at <= len(fields.data) - 8:
            return None
        over, under = fields.read("II", at)
        found.append(over / under * scale if under else 0.0)
    return found[0], found[1]


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """EXIF that states dots per inch, unless it states something already."""
    fields = _Exif(exif or _EMPTY)
    if _X_RESOLUTION not in fields.first:
        rows = [fields.pack("HHIHH", _RESOLUTION_UNIT, _SHORT, 1, 2, 0)]
        for tag, value in zip((_X_RESOLUTION, _Y_RESOLUTION), dpi, strict=True):
            at = fields.append(fields.pack("II", round(value * 100), 100))
            rows.append(fields.pack("HHII", tag, _RATIONAL, 1, at))
        fields.grow_first(*rows)
    return bytes(fields.data)


def with_size(exif: bytes, size: tuple[int, int]) -> bytes:
    """EXIF whose fields for the picture's size, as many as there are, say `size`."""
    fields = _Exif(exif)
    tables = ((fields.first, _TIFF_WIDTH, _TIFF_HEIGHT), (fields.second(), _WIDTH, _HEIGHT))
    for entries, *tags in tables:
        for tag, value in zip(tags, size, strict=True):
            if tag in entries:
                # A short may be too short for it; a long takes no more room.
                fields.put("HII", entries[tag] + 2, _LONG, 1, value)
    return bytes(fields.data)


class _Exif:
    """A copy to be changed. Raises: ValueError when it is no EXIF."""

    def __init__(self, exif: bytes) -> None:
        self.data = bytearray(exif)
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
        if order is None or len(exif) < 8:
            raise ValueError("no EXIF header")
        self._order = order
        self.was_cut = self._mend_first()
        self.first, self._next_at = self._entries(*self.read("I", 4))

    def read(self, layout: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, self.data, at)

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self._order + layout, *values)

    def put(self, layout: str, at: int, *values: int) -> None:
        struct.pack_into(self._order + layout, self.data, at, *values)

    def number(self, at: int | None) -> int | None:
        """The value of an entry that holds one whole number."""
        if at is None:
            return None
        code = _CODES.get(self.read("H", at + 2)[0])
        return self.read(code, at + 8)[0] if code else None

    def second(self) -> dict[int, int]:
        """Where each entry of the nested directory is; none where that is missing or damaged."""
        return self._known(self.number(self.first.get(_EXIF_IFD)) or 0)

    def append(self, block: bytes) -> int:
        self.data += bytes(len(self.data) % 2)
        at = len(self.data)
        self.data += block
        return at

    def grow(self, ifd: int, *added: bytes) -> int:
        """Append a copy of the directory with more entries; directories are sorted by tag."""
        table = {tag: bytes(self.data[p : p + 12]) for tag, p in self._known(ifd).items()}
        table |= {struct.unpack_from(self._order + "H", entry)[0]: entry for entry in added}
        rows = b"".join(table[tag] for tag in sorted(table))
        return self.append(self.pack("H", len(table)) + rows + bytes(4))

    def grow_first(self, *added: bytes) -> None:
        self.put("I", 4, self.grow(self.read("I", 4)[0], *added))

    def places(self, tag: int, ifd: int | None = None) -> list[int]:
        """Where all entries of a tag are, for a damaged directory may hold several."""
        at = self.read("I", 4)[0] if ifd is None else ifd
        if not 8 <= at <= len(self.data) - 2:
            return []
        end = min(at + 2 + 12 * self.read("H", at)[0], len(self.data) - 11)
        return [place for place in range(at + 2, end, 12) if self.read("H", place)[0] == tag]

    def drop_odd_resolution(self) -> bool:
        """Takes out what states a resolution in a type that it cannot have, over which readers
        give up; whether there was any."""
        kinds = {_X_RESOLUTION: _RATIONAL, _Y_RESOLUTION: _RATIONAL, _RESOLUTION_UNIT: _SHORT}
        (at,) = self.read("I", 4)
        odd = [p for tag, k in kinds.items() for p in self.places(tag)
               if self.read("HI", p + 2) != (k, 1)]  # fmt: skip
        for place in sorted(odd, reverse=True):
            # The rest of the directory moves up, and the values that it points to stay.
            self.data[place : self._next_at - 8] = self.data[place + 12 : self._next_at + 4]
            self.data[self._next_at - 8 : self._next_at - 8] = bytes(12)
            self._next_at -= 12
            self.put("H", at, self.read("H", at)[0] - 1)
        self.first, self._next_at = self._entries(at)
        return bool(odd)

    def _mend_first(self) -> bool:
        """Ends a directory that is cut short behind its last whole entry; whether it was."""
        (at,) = self.read("I", 4)
        whole = (len(self.data) - at - 2) // 12
        if at < 8 or whole < 1 or whole >= self.read("H", at)[0]:
            return False
        self.put("H", at, whole)
        del self.data[at + 2 + 12 * whole :]
        self.data += bytes(4)
        return True

    def drop_thumbnail(self) -> None:
        if self._next_at + 4 > len(self.data):
            return
        (ifd,) = self.read("I", self._next_at)
        self.put("I", self._next_at, 0)
        entries = self._known(ifd)
        start, length = (self.number(entries.get(t)) or 0 for t in (_THUMBNAIL, _THUMBNAIL_LENGTH))
        # Nothing refers to the bytes any more. They are taken out only where they lie last, as
        # they usually do, for elsewhere that would move what follows them.
        if ifd < start and start + length == len(self.data):
            del self.data[start:]

    def _entries(self, at: int) -> tuple[dict[int, int], int]:
        """Where each tag's entry is, and where the offset of the next directory is."""
        if not 8 <= at <= len(self.data) - 2:
            raise ValueError("an EXIF directory is out of bounds")
        end = at + 2 + 12 * self.read("H", at)[0]
        if end > len(self.data):
            raise ValueError("an EXIF directory is cut short")
        # Of several for one tag the first counts, as it does for others.
        return {self.read("H", p)[0]: p for p in reversed(range(at + 2, end, 12))}, end

    def _known(self, at: int) -> dict[int, int]:
        try:
            return self._entries(at)[0]
        except ValueError:
            return {}
