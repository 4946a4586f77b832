"""What Pillow does not tell of a file: its kind where it is damaged, true bit depth, its end."""

from __future__ import annotations

from . import jpeg, png, tiff

_STARTS = {b"\xff\xd8": "JPEG", png.SIGNATURE[:4]: "PNG", b"GIF8": "GIF", b"BM": "BMP",
           b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
           b"\xff\x0a": "JXL", b"\0\0\0\x0cJXL ": "JXL"}  # fmt: skip
_NCLX = b"colrnclx"
_USUAL = (b"\1\1", b"\1\2", b"\1\6", b"\1\x0d", b"\2\2", b"\2\x0d")
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def kind(head: bytes) -> str:
    """The format that the first 12 bytes of a file speak of; none where they speak of no known."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        heif = brand[:3] in (b"hei", b"hev", b"mif", b"msf")
        return "AVIF" if brand in (b"avif", b"avis") else "HEIF" if heif else ""
    return next((name for start, name in _STARTS.items() if head.startswith(start)), "")


def webp_lossless(data: bytes) -> bool:
    at = 12
    while len(data) >= at + 8:
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        # A frame of an animation wraps such chunks behind 16 bytes of its own.
        at += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return False


def avif_depth(data: bytes) -> tuple[int, bool]:
    """Bits per channel of an AVIF, and whether it is greyscale; 8 and no where it does not say."""
    head = data[:65536]
    at = head.find(b"av1C")
    if at < 0 or at + 6 >= len(head):
        return 8, False
    flags = head[at + 6]
    depth = 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    return depth, bool(flags & 0x10)


def nclx(avif: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """What an AVIF or HEIC says of its colours in numbers, as the PNG chunk with the same ones."""
    at = avif[:65536].find(_NCLX)
    if not 0 <= at <= len(avif) - 12:
        return ()
    numbers = bytes((avif[at + 9], avif[at + 11], 0, 1))
    # Two is nothing said; both ones, or one and thirteen, are sRGB.
    return () if numbers[:2] in _USUAL else ((b"cICP", numbers),)


def with_nclx(avif: bytes, cicp: bytes) -> bytes:
    """The AVIF with other primaries and another transfer stated in it."""
    before, box, behind = avif.partition(_NCLX)
    return before + box + bytes((0, cicp[0], 0, cicp[1])) + behind[4:] if box else avif


def credentials(data: bytes) -> bool:
    """Whether a file other than a JPEG holds Content Credentials."""
    box = {"PNG": b"caBX", "WEBP": b"C2PA", "AVIF": _C2PA_BOX, "HEIF": _C2PA_BOX}.get(kind(data))
    return box is not None and box in data


def cut_short(data: bytes) -> bool:
    """Whether the end of a file of a known kind is missing."""
    found = kind(data)
    tests = {
        "JPEG": lambda: jpeg.segments(data)[1] is None,
        "PNG": lambda: b"IEND" not in data[-4096:],
        "WEBP": lambda: len(data) < int.from_bytes(data[4:8], "little") + 8,
        "GIF": lambda: not data.rstrip(b"\0").endswith(b";"),
        "BMP": lambda: len(data) < int.from_bytes(data[2:6], "little"),
        "TIFF": lambda: b"+" not in data[:4] and tiff.cut_short(data),
    }
    if found in tests:
        return tests[found]()
    at = 0
    while found in ("AVIF", "HEIF") and at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            return False
        at += size
    return at > len(data)
