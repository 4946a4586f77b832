"""What Pillow does not tell of a file: true bit depth, lossless or not, its end."""

from __future__ import annotations

from typing import BinaryIO

from . import jpeg, png, tiff

_NCLX = b"colrnclx"
_USUAL = (b"\1\1", b"\1\2", b"\1\6", b"\1\x0d", b"\2\2", b"\2\x0d")
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


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


def nclx(avif: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """What an AVIF says of its colours in numbers, as the PNG chunk with the same ones."""
    head = avif[:65536]
    at = head.find(_NCLX) + len(_NCLX)
    numbers = (
        bytes((head[at + 1], head[at + 3], 0, 1)) if len(_NCLX) <= at <= len(head) - 4 else b""
    )
    # Two is nothing said; both ones, or one and thirteen, are sRGB.
    return ((b"cICP", numbers),) if numbers and numbers[:2] not in _USUAL else ()


def with_nclx(avif: bytes, cicp: bytes) -> bytes:
    """The AVIF with other primaries and another transfer stated in it."""
    at = avif.find(_NCLX) + len(_NCLX)
    if at < len(_NCLX):
        return avif
    return avif[:at] + bytes((0, cicp[0], 0, cicp[1])) + avif[at + 4 :]


def credentials(data: bytes) -> bool:
    """Whether a file other than a JPEG holds Content Credentials."""
    if data.startswith(b"\x89PNG"):
        return b"caBX" in data
    if data.startswith(b"RIFF"):
        return b"C2PA" in data
    return data[4:8] == b"ftyp" and _C2PA_BOX in data


def cut_short(data: bytes) -> bool:
    """Whether the end of a file of a known kind is missing."""
    if data.startswith(b"\xff\xd8"):
        return jpeg.segments(data)[1] is None
    if data.startswith(png.SIGNATURE):
        return b"IEND" not in data[-4096:]
    if data.startswith(b"RIFF"):
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if data.startswith(b"GIF8"):
        return not data.rstrip(b"\0").endswith(b";")
    if data.startswith(b"BM"):
        return len(data) < int.from_bytes(data[2:6], "little")
    if data[:4] in (b"II*\0", b"MM\0*"):
        return tiff.cut_short(data)
    at = 0
    while data[4:8] == b"ftyp" and at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            return False
        at += size
    return at > len(data)
