"""JPEG files as rows of segments: what Pillow leaves out of them, or gives up over."""

from __future__ import annotations

import re
from collections.abc import Iterator

EXIF, PHOTOSHOP = b"Exif\0\0", b"Photoshop 3.0\0"
XMP, XMP_TAIL = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
ICC, MPF, GAIN_MAP = b"ICC_PROFILE\0", b"MPF\0", b"urn:iso:std:iso:ts:21496"
ROOM = 65533
"""Bytes in a segment."""
END, SCAN = b"\xff\xd9", 0xDA
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
# Resources that show the picture as it was (1033, 1036), or say once more what EXIF and XMP do.
_DROPPED = (1033, 1036, 1058, 1059, 1060)
Segments = tuple[tuple[int, bytes], ...]
"""Pairs of marker and data."""


def segments(data: bytes) -> tuple[Segments, int | None]:
    """All segments of a JPEG's first picture, and where it ends; None when it is cut short."""
    found = list(walk(data))
    end = found.pop()[2] if found and found[-1][0] == END[1] else None
    return tuple((marker, data[start:stop]) for marker, start, stop in found), end


def walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Of each segment its marker, and where its data starts and ends; the end marker's is none."""
    at = 2
    while match := _MARKER.search(data, at):
        at, marker = match.end(), data[match.end() - 1]
        if marker == END[1]:
            yield marker, at, at
            return
        end = at + max(2, int.from_bytes(data[at : at + 2], "big"))
        if end > len(data):
            return
        yield marker, at + 2, end
        at = end


def bare(data: bytes) -> bytes:
    """The JPEG without comments and application data, save what the decoder needs."""
    out = [data[:2]]
    for marker, start, end in walk(data):
        if marker == SCAN:
            return b"".join([*out, data[start - 4 :]])
        # Kept: JFIF (density) and Adobe (which colour transform was used).
        if marker in (0xE0, 0xEE) or not (0xE1 <= marker <= 0xEF or marker == 0xFE):
            out.append(data[start - 4 : end])
    return b"".join(out)


def lacks_scans(found: Segments) -> bool:
    """Whether there are coefficients of which no scan has the last bit, as in a progressive JPEG
    that is cut between scans."""
    frame = next((d for m, d in found if m in (0xC0, 0xC1, 0xC2)), b"")
    left = {(component, k) for component in frame[6::3] for k in range(64)}
    for scan in (d for m, d in found if m == SCAN and d and len(d) >= 4 + 2 * d[0]):
        first, last, bits = scan[1 + 2 * scan[0] : 4 + 2 * scan[0]]
        if bits & 15 == 0:
            left -= {(c, k) for c in scan[1 : 1 + 2 * scan[0] : 2] for k in range(first, last + 1)}
    return bool(left)


def joined(found: Segments, marker: int, start: bytes) -> bytes:
    """The data of all segments that start so, without their starts."""
    return b"".join(d[len(start) :] for m, d in found if m == marker and d.startswith(start))


def profile(found: Segments) -> bytes:
    """The colour profile, whose segments say their places."""
    parts = {d[12]: d[14:] for m, d in found if m == 0xE2 and d.startswith(ICC) and len(d) > 14}
    return b"".join(parts[number] for number in sorted(parts))


def extension(found: Segments, digest: str) -> bytes:
    """The XMP that did not fit into one segment. Raises: ValueError where a part is missing."""
    start = XMP_TAIL + digest.encode("ascii", "replace")
    parts = [d[len(start) :] for m, d in found if m == 0xE1 and d.startswith(start)]
    whole = b"".join(p[8:] for p in sorted(parts, key=lambda p: p[4:8]))
    if not parts or len(whole) != int.from_bytes(parts[0][:4], "big"):
        raise ValueError("a part of XMP is missing")
    return whole


def foreign(found: Segments) -> list[str]:
    """Names of application data that is neither kept nor made anew."""
    known: dict[int, bytes | tuple[bytes, ...]]
    known = {0xE0: b"", 0xE1: (EXIF, XMP, XMP_TAIL), 0xE2: (ICC, MPF, GAIN_MAP),
             0xEB: b"JP", 0xEC: b"Ducky", 0xED: PHOTOSHOP, 0xEE: b"Adobe"}  # fmt: skip
    names: dict[str, None] = {}
    for marker, data in found:
        if 0xE0 <= marker <= 0xEF and not (marker in known and data.startswith(known[marker])):
            word = re.match(rb"[ -~]{2,20}", data)
            names[f"APP{marker - 0xE0}" + (f" ({word[0].decode()})" if word else "")] = None
    return list(names)


def put(marker: int, start: bytes, data: bytes) -> bytes:
    """Segments that start so and hold the data, as many as that takes."""
    room = ROOM - len(start)
    rows = (start + data[at : at + room] for at in range(0, len(data), room))
    return b"".join(bytes([0xFF, marker]) + (len(r) + 2).to_bytes(2, "big") + r for r in rows)


def put_extension(digest: bytes, data: bytes) -> bytes:
    """The segments of an XMP packet's extension."""
    start, total = XMP_TAIL + digest, len(data).to_bytes(4, "big")
    room = ROOM - len(start) - 8
    return b"".join(
        put(0xE1, start + total + at.to_bytes(4, "big"), data[at : at + room])
        for at in range(0, len(data), room)
    )


def without_thumbnails(photoshop: bytes) -> bytes | None:
    """Photoshop's resources without the pictures of the picture, and what repeats EXIF and XMP."""
    kept = [block for number, block in _resources(photoshop) if number not in _DROPPED]
    return b"".join(kept) or None


def resource(number: int, data: bytes) -> bytes:
    size = len(data).to_bytes(4, "big")
    return b"8BIM" + number.to_bytes(2, "big") + bytes(2) + size + data + bytes(len(data) % 2)


def _resources(photoshop: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while photoshop[at : at + 4] in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"):
        if at + 12 > len(photoshop):
            return
        name_end = at + 6 + (photoshop[at + 6] // 2 + 1) * 2
        length = int.from_bytes(photoshop[name_end : name_end + 4], "big")
        end = name_end + 4 + length + length % 2
        if name_end + 4 + length > len(photoshop):
            return  # cut short
        yield int.from_bytes(photoshop[at + 4 : at + 6], "big"), photoshop[at:end]
        at = end


def trailer(data: bytes, end: int) -> str:
    """What follows a picture that ends there, in words; none for a mere filling."""
    rest = data[end:].strip(b"\0\xff")
    if not rest:
        return ""
    kind = "a video" if b"ftyp" in rest else "a picture" if b"\xff\xd8\xff" in rest else "data"
    return f"{kind} behind the picture ({len(rest):,} bytes)"
