"""PNG files as rows of chunks: what Pillow leaves out of them, or gives up over."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEY, RAW = "XML:com.adobe.xmp", "Raw profile type "
_COLORS = (b"gAMA", b"cHRM", b"sRGB", b"cICP")
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_FRAMES = (b"acTL", b"fcTL", b"fdAT")
_LARGEST_PROFILE = 1 << 26


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool, bytes]]:
    """Kind, contents, whether their check sum is right, and all of it as it is."""
    at = len(SIGNATURE)
    while len(data) - at >= 12:
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        right = zlib.crc32(data[at + 4 : end]) == int.from_bytes(data[end : end + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : end], right, data[at : end + 4]
        at = end + 4


def colors(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Chunks that say what the numbers mean where there is no ICC profile."""
    return tuple((kind, body) for kind, body, right, _ in chunks(data) if right and kind in _COLORS)


def profile(data: bytes) -> bytes | None:
    """The colour profile, however large, for Pillow gives up over one of more than a megabyte."""
    for kind, body, right, _ in chunks(data):
        if kind == b"iCCP" and right:
            try:
                stream = body.partition(b"\0")[2][1:]
                return zlib.decompressobj().decompress(stream, _LARGEST_PROFILE)
            except zlib.error:
                return None
    return None


def completed(
    data: bytes, colors: Iterable[tuple[bytes, bytes]], deep: npt.NDArray[np.uint16] | None
) -> bytes:
    """The PNG with chunks on its colours, of which Pillow writes but those that it knows, and with
    other pixels, where given, `[H, W, 1..4]`: grey, grey and alpha, RGB, or RGBA at 16 bits."""
    if deep is not None:
        height, width, channels = deep.shape
        rows = deep.astype(">u2").reshape(height, -1).view(np.uint8)
        filtered = np.full((height, rows.shape[1] + 1), 2, np.uint8)
        filtered[:, 1:] = rows
        filtered[1:, 1:] -= rows[:-1]  # filter 2: less the row above
        head = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
        parts = {b"IHDR": head, b"IDAT": zlib.compress(filtered.data, 6)}
        *others, end = (whole for kind, _, _, whole in chunks(data) if kind not in parts)
        head, body = (chunk(*part) for part in parts.items())
        data = b"".join((SIGNATURE, head, *others, body, end))
    return data[:33] + b"".join(chunk(*pair) for pair in colors) + data[33:]


def chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body).to_bytes(4, "big")
    return b"".join((len(body).to_bytes(4, "big"), kind, body, check))


def text_of(kind: bytes, body: bytes) -> bytes:
    """The bytes of a text. Raises: ValueError when it is damaged."""
    _, _, rest = body.partition(b"\0")
    if kind == b"tEXt":
        return rest
    packed = kind == b"zTXt" or rest[:1] == b"\1"
    # An iTXt has its language and its key in that before its text.
    parts = rest[2:].split(b"\0", 2)
    rest = parts[-1] if kind == b"iTXt" else rest[1:]
    try:
        return zlib.decompressobj().decompress(rest, _LARGEST_PROFILE) if packed else rest
    except zlib.error as e:
        raise ValueError(f"a text of it is damaged: {e}") from None


def xmp_chunk(packet: bytes) -> bytes:
    return chunk(b"iTXt", XMP_KEY.encode() + bytes(5) + packet)


def repeated(data: bytes) -> list[str]:
    """Keys of more than one text, of which Pillow keeps the last."""
    keys = Counter(b.partition(b"\0")[0] for kind, b, *_ in chunks(data) if kind in TEXTS)
    return [_shown(key) for key, count in keys.items() if count > 1]


def repaired(data: bytes, *, bare: bool) -> tuple[bytes, list[str], list[str]]:
    """The PNG without those of its dispensable chunks that Pillow gives up over, and their names:
    of the large ones, of the damaged ones. With `bare` without texts and frames, too."""
    out, large, damaged = [data[: len(SIGNATURE)]], [], []
    for kind, body, right, whole in chunks(data):
        dispensable = kind[:1].islower() and kind != b"tRNS"
        name = _shown(body.partition(b"\0")[0] if kind in TEXTS else kind)
        if kind in _FRAMES and not (bare or not right):
            dispensable = False
        if bare and kind in TEXTS and not name.startswith((XMP_KEY, RAW)):
            large.append(name)
        elif not dispensable or (right and kind not in _FRAMES and _opens(whole)):
            out.append(whole)
        elif right and kind in (b"zTXt", b"iTXt", b"iCCP") and _inflates(body):
            large += [name] if kind != b"iCCP" else []  # `profile` reads it
        else:
            damaged.append(name)
    return b"".join(out), large, damaged


def raw_profile(kind: str, data: bytes) -> str:
    """Data as ImageMagick has it in a text."""
    digits = data.hex()
    rows = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{kind}\n{len(data):8}\n{rows}\n"


def of_raw_profile(text: str) -> bytes:
    """A line with the kind, one with the length, then hexadecimal digits. Raises: ValueError."""
    return bytes.fromhex("".join(text.split("\n")[3:]))


def _shown(name: bytes) -> str:
    text = name[:79].decode("latin-1")
    return "".join(c if c.isprintable() else "?" for c in text)


def _opens(one: bytes) -> bool:
    """Whether Pillow opens a picture with this chunk."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    tail = chunk(b"IDAT", zlib.compress(bytes(2))) + chunk(b"IEND", b"")
    try:
        with Image.open(BytesIO(SIGNATURE + head + one + tail), formats=["PNG"]) as image:
            image.load()
    except Exception:
        return False
    return True


def _inflates(body: bytes) -> bool:
    """Whether a compressed part of it is whole; then its size is all that is wrong with it."""
    at = body.find(b"x")
    while 0 <= at <= 400:
        try:
            if len(zlib.decompressobj().decompress(body[at:], 1 << 20)) == 1 << 20:
                return True
        except zlib.error:
            pass
        at = body.find(b"x", at + 1)
    return False
