"""WebP files as rows of chunks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10


def with_xmp(data: bytes, change: Callable[[bytes | None], bytes]) -> bytes:
    """The WebP with another XMP packet: what `change` makes of the one that it has. Raises:
    ValueError when it is cut short."""
    rows = list(_chunks(data))
    old = next((body for kind, body in rows if kind == b"XMP "), None)
    new = change(old)
    if new == old:
        return data
    rows = [(kind, body) for kind, body in rows if kind != b"XMP "]
    kind, head = rows[0]
    if kind == b"VP8X":
        head = bytes([head[0] | _XMP_FLAG]) + head[1:]
        rows[0] = kind, head
    else:
        width, height, alpha = _size(kind, head)
        flags = _XMP_FLAG | (_ALPHA_FLAG if alpha else 0)
        sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
        rows.insert(0, (b"VP8X", bytes([flags, 0, 0, 0]) + sides))
    rows.append((b"XMP ", new))
    inside = b"".join(
        kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for kind, body in rows
    )
    return b"RIFF" + struct.pack("<I", len(inside) + 4) + b"WEBP" + inside


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, end = 12, 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise ValueError("it is cut short")
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _size(kind: bytes, body: bytes) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha, of a simple file's only chunk."""
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF, False
    if kind == b"VP8L" and body[:1] == b"\x2f":
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    raise ValueError("it is of an unknown kind")
