"""What Pillow does not tell of a file: true bit depth, lossless or not, chunks it leaves out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP")
_THUMBNAILS = (1033, 1036)
PHOTOSHOP = b"Photoshop 3.0\0"


def png_depth(file: BinaryIO) -> int:
    """Bits per channel. Pillow opens 16-bit colour as 8 without a word."""
    file.seek(0)
    head = file.read(25)
    return head[24] if len(head) == 25 else 8


def png_colour_chunks(file: BinaryIO) -> tuple[tuple[bytes, bytes], ...]:
    """Chunks that say what the numbers mean where there is no ICC profile."""
    file.seek(len(PNG_SIGNATURE))
    found = []
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in (b"IDAT", b"IEND"):
            break
        data = file.read(length)
        if kind in _COLOUR_CHUNKS:
            found.append((kind, data))
        file.seek(4, 1)
    return tuple(found)


def png_repaired(data: bytes, *, bare: bool) -> bytes:
    """The PNG without its damaged dispensable chunks (in lower case), or (`bare`) without any."""
    out = [data[:8]]
    at = 8
    while len(data) - at >= 12:
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + length
        chunk = data[at:end]
        damaged = zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big")
        dispensable = kind[:1].islower() and kind != b"tRNS"
        if not (dispensable and (bare or damaged)):
            out.append(chunk)
        at = end
    return b"".join([*out, data[at:]])


def jpeg_bare(data: bytes) -> bytes:
    """The JPEG without comments and application data, save what the decoder needs."""
    out = [data[:2]]
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] not in (b"", b"\xda"):
        marker = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        # Kept: JFIF (density) and Adobe (which colour transform was used).
        if marker in (0xE0, 0xEE) or not (0xE1 <= marker <= 0xEF or marker == 0xFE):
            out.append(data[at : at + 2 + length])
        at += 2 + length
    return b"".join([*out, data[at:]])


def webp_lossless(file: BinaryIO) -> bool:
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        # A frame of an animation wraps such chunks behind 16 bytes of its own.
        file.seek(16 if kind == b"ANMF" else length + length % 2, 1)
    return False


def avif_depth(file: BinaryIO) -> tuple[int, bool]:
    """Bits per channel and whether an AVIF is greyscale; 8 and no for anything else."""
    file.seek(0)
    head = file.read(65536)
    at = head.find(b"av1C")
    if head[4:8] != b"ftyp" or at < 0 or at + 6 >= len(head):
        return 8, False
    flags = head[at + 6]
    depth = 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    return depth, bool(flags & 0x10)


def without_thumbnails(photoshop: bytes) -> bytes | None:
    """Photoshop's resources (an APP13 segment) without the pictures of the picture."""
    if not photoshop.startswith(PHOTOSHOP):
        return None
    kept = [block for number, block in _resources(photoshop) if number not in _THUMBNAILS]
    return PHOTOSHOP + b"".join(kept) if kept else None


def _resources(photoshop: bytes) -> Iterator[tuple[int, bytes]]:
    at = len(PHOTOSHOP)
    while photoshop[at : at + 4] == b"8BIM" and at + 12 <= len(photoshop):
        name_end = at + 6 + (photoshop[at + 6] // 2 + 1) * 2
        length = int.from_bytes(photoshop[name_end : name_end + 4], "big")
        end = name_end + 4 + length + length % 2
        yield int.from_bytes(photoshop[at + 4 : at + 6], "big"), photoshop[at:end]
        at = end
